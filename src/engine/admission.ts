import { assertSoundKey, keyIdOf } from '../lib/ed25519.ts';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { type HandshakeFacts, handshakeBytes, nonceBytes } from '../link/handshake.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { SignatureVerifier, Signer } from '../ports/signer.ts';
import type { Store } from '../ports/store.ts';
import type { Connection, Packet } from '../ports/transport.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { PublicKeyEntry } from '../protocol/receipt.ts';
import { protocolVersion, protocolVersionMin } from '../protocol/version.ts';
import { namePattern } from '../protocol/workflow.ts';
import type { CoordinatorConfig } from './config.ts';
import type { JoinTokens } from './join-tokens.ts';

export interface AdmissionDeps {
  signer: Signer;
  verifier: SignatureVerifier;
  clock: Clock;
  random: Random;
  store: Store;
  tokens: JoinTokens;
  /** Nodes that were expelled. */
  isBanned(nodeId: string): boolean;
}

/** A worker that has proved who it is. */
export interface Admitted {
  connection: Connection;
  key: PublicKeyEntry;
  product: string;
  proof: MessageOf<'proof'>;
  /** What came right behind the proof. */
  early: Packet[];
}

class Refusal extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * The coordinator's side of a handshake:
 *
 *     hello ─▶ (version, token, name, key) ─▶ challenge ─▶ proof ─▶ (signature, key bound to the name) ─▶ admitted
 *
 * Whatever does not fit is answered with `refuse` and the end of the connection.
 */
export class Admission {
  readonly #config: CoordinatorConfig;
  readonly #deps: AdmissionDeps;
  #underWay = 0;

  constructor(config: CoordinatorConfig, deps: AdmissionDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** Resolves to undefined where the worker was refused or went away; it has been told why. */
  async admit(connection: Connection, epoch: number): Promise<Admitted | undefined> {
    if (this.#underWay >= this.#config.handshakesMax) {
      refuse(connection, new Refusal('OVERLOADED', 'too many nodes are joining at once; try again'));
      return undefined;
    }
    this.#underWay += 1;
    const stopTimer = this.#deps.clock.timer(this.#config.handshakeTimeoutMs, () =>
      connection.destroy(new JSONFlowError('NODE_UNREACHABLE', 'the node did not complete its handshake in time')),
    );
    try {
      return await this.#handshake(connection, epoch);
    } catch (thrown) {
      refuse(connection, thrown instanceof Refusal ? thrown : new Refusal('INTERNAL', messageOf(thrown)));
      return undefined;
    } finally {
      stopTimer();
      this.#underWay -= 1;
    }
  }

  async #handshake(connection: Connection, epoch: number): Promise<Admitted | undefined> {
    const { signer, verifier, random, store } = this.#deps;
    const inbox = inboxOf(connection);
    const hello = await inbox.next('hello');
    if (hello === undefined) return undefined;
    const version = this.#checkHello(hello, connection);
    const needsToken = await this.#needsToken(hello, connection);
    const facts: HandshakeFacts = {
      version,
      epoch,
      workerId: hello.node_id,
      workerKey: hello.public_key,
      workerNonce: hello.nonce,
      coordinatorId: this.#config.nodeId,
      coordinatorKey: signer.publicKey,
      coordinatorNonce: Buffer.from(random.bytes(nonceBytes)).toString('base64'),
      channelBinding: connection.channelBinding,
    };
    const signature = await signer.sign(handshakeBytes('coordinator', facts));
    connection.send({
      message: {
        kind: 'challenge',
        version,
        node_id: facts.coordinatorId,
        public_key: facts.coordinatorKey,
        epoch,
        nonce: facts.coordinatorNonce,
        signature: Buffer.from(signature).toString('base64'),
      },
    });
    const proof = await inbox.next('proof');
    if (proof === undefined) return undefined;
    const proven = await verifier.verify(
      hello.public_key,
      handshakeBytes('worker', facts),
      Buffer.from(proof.signature, 'base64'),
    );
    if (!proven) throw new Refusal('UNAUTHORIZED', 'the node could not prove that it holds its key');
    // Only now is a one-time token used up: whoever broke off before may try again.
    if (needsToken && !this.#deps.tokens.admit(hello.token, this.#deps.clock.now())) throw noToken();
    const key = { node_id: hello.node_id, key_id: keyIdOf(hello.public_key), public_key: hello.public_key };
    await store.enrol(key).catch((thrown: unknown) => {
      if (thrown instanceof JSONFlowError && thrown.code === 'CONFLICT')
        throw new Refusal(
          'CONFLICT',
          `the name ${hello.node_id} belongs to a node with another key; choose another --node-id, or restore its key`,
        );
      throw thrown;
    });
    return { connection, key, product: hello.product, proof, early: inbox.rest() };
  }

  #checkHello(hello: MessageOf<'hello'>, connection: Connection): number {
    const version = Math.min(hello.versions.max, protocolVersion);
    if (version < Math.max(hello.versions.min, protocolVersionMin))
      throw new Refusal(
        'PROTOCOL_VERSION',
        `the node speaks versions ${hello.versions.min} to ${hello.versions.max} of the protocol, this coordinator ${protocolVersionMin} to ${protocolVersion}`,
      );
    if (!isName.test(hello.node_id)) throw new Refusal('INVALID_MESSAGE', 'the name of the node is not a valid one');
    if (this.#deps.isBanned(hello.node_id))
      throw new Refusal('EXPELLED', 'the node was expelled for evidence that did not hold; it may come back later');
    if (!connection.local && hello.node_id === this.#config.nodeId)
      throw new Refusal('CONFLICT', `the name ${hello.node_id} is the coordinator's own; choose another --node-id`);
    try {
      assertSoundKey(hello.public_key);
    } catch (thrown) {
      throw new Refusal('UNAUTHORIZED', messageOf(thrown));
    }
    return version;
  }

  /** A node that joined before needs no token again: its key, which it has to prove, is as good. */
  async #needsToken(hello: MessageOf<'hello'>, connection: Connection): Promise<boolean> {
    const { tokens, clock, store } = this.#deps;
    if (connection.local || !tokens.required) return false;
    if (tokens.accepts(hello.token, clock.now())) return true;
    const known = (await store.enrolled()).some(
      ({ node_id, public_key }) => node_id === hello.node_id && public_key === hello.public_key,
    );
    if (!known) throw noToken();
    return false;
  }
}

const isName = new RegExp(namePattern);

const noToken = (): Refusal => new Refusal('UNAUTHORIZED', 'a valid join token is required; give it with --token');

function refuse(connection: Connection, { code, message }: Refusal): void {
  connection.send({ message: { kind: 'refuse', code, message } });
  connection.close();
}

/** Messages of a connection one at a time; undefined once it is closed. */
function inboxOf(connection: Connection) {
  const packets: Packet[] = [];
  let wake: (() => void) | undefined;
  let closed = false;
  connection.onPacket((packet) => {
    packets.push(packet);
    wake?.();
  });
  connection.onClose(() => {
    closed = true;
    wake?.();
  });
  return {
    async next<Kind extends 'hello' | 'proof'>(kind: Kind): Promise<MessageOf<Kind> | undefined> {
      while (packets.length === 0) {
        if (closed) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const message = packets.shift()?.message;
      if (message?.kind !== kind) throw new Refusal('INVALID_MESSAGE', `expected ${kind}, got ${message?.kind}`);
      return message as MessageOf<Kind>;
    },
    rest: () => packets.splice(0),
  };
}
