import { assert } from '../lib/assert.ts';
import { keyIdOf } from '../lib/ed25519.ts';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { BlobExchange, isBlobMessage } from '../link/blobs.ts';
import { type HandshakeFacts, handshakeBytes, nonceBytes } from '../link/handshake.ts';
import type { Random } from '../ports/clock.ts';
import type { SignatureVerifier } from '../ports/signer.ts';
import type { Connection, Packet } from '../ports/transport.ts';
import type { AttemptKey, Message, MessageOf } from '../protocol/messages.ts';
import { productVersion, protocolVersion, protocolVersionMin } from '../protocol/version.ts';
import { Attempt, type AttemptDeps, keyOf } from './attempt.ts';
import type { ContextLink } from './context.ts';

export interface WorkerConfig {
  /** Steps that may run at once. */
  slots: number;
  resources: Record<string, number>;
  labels: Record<string, string>;
  backends: string[];
  /** Join token to present. */
  token?: string;
  /** Key id of the only coordinator to work for. Absent: any that proves its key. */
  coordinatorKeyId?: string;
}

export interface WorkerDeps extends AttemptDeps {
  verifier: SignatureVerifier;
  random: Pick<Random, 'bytes'>;
}

/** A connection whose two ends have proved who they are. */
interface Session {
  connection: Connection;
  blobs: BlobExchange;
  /** Whether anything came since the last look. */
  heard: boolean;
  stopWatch: (() => void) | undefined;
}

/** Pings that may be missed before the connection is given up; at worst twice as many pass by. */
const heartbeatsMissedMax = 6;

interface PendingCheckpoint {
  message: MessageOf<'checkpoint'>;
  saved: PromiseWithResolvers<void>;
}

interface Held {
  attempt: Attempt;
  /** Checkpoints sent so far. */
  saves: number;
  checkpoint: PendingCheckpoint | undefined;
}

/** Refusals after which trying again makes sense. */
const temporaryRefusals: ReadonlySet<string> = new Set(['OVERLOADED', 'CLOSED', 'INTERNAL', 'EXPELLED']);

const nameOf = ({ run_id, step_id, attempt, epoch }: AttemptKey): string => `${run_id}/${step_id}#${attempt}.${epoch}`;

/**
 * Runs the steps that a coordinator assigns. Attempts outlive the connection: while it is down they go on, and what they end
 * with is kept until the coordinator has acknowledged it.
 */
export class Worker {
  readonly #config: WorkerConfig;
  readonly #deps: WorkerDeps;
  readonly #held = new Map<string, Held>();
  /** What adapters do once the fate of their attempts is known. */
  readonly #settling = new Set<Promise<void>>();
  #session: Session | undefined;
  #sessionWaiters: ((session: Session) => void)[] = [];
  #idleWaiters: (() => void)[] = [];
  #draining = false;

  constructor(config: WorkerConfig, deps: WorkerDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** Attempts that run here, or whose result the coordinator has not acknowledged. */
  get holding(): number {
    return this.#held.size;
  }

  get connected(): boolean {
    return this.#session !== undefined;
  }

  /**
   * Joins the coordinator at the other end; resolves when it has welcomed this worker.
   * @throws JSONFlowError NODE_REFUSED with the coordinator's reason, NOT_TRUSTED where it is not the one expected,
   *   PROTOCOL_VERSION, NODE_UNREACHABLE where the connection breaks
   */
  async join(connection: Connection): Promise<void> {
    const inbox = new Handshake(connection);
    const { nodeId, signer } = this.#deps;
    const workerNonce = Buffer.from(this.#deps.random.bytes(nonceBytes)).toString('base64');
    connection.send({
      message: {
        kind: 'hello',
        versions: { min: protocolVersionMin, max: protocolVersion },
        product: productVersion,
        node_id: nodeId,
        public_key: signer.publicKey,
        nonce: workerNonce,
        ...(this.#config.token === undefined ? {} : { token: this.#config.token }),
      },
    });
    const challenge = await inbox.expect('challenge');
    const facts: HandshakeFacts = {
      version: challenge.version,
      epoch: challenge.epoch,
      workerId: nodeId,
      workerKey: signer.publicKey,
      workerNonce,
      coordinatorId: challenge.node_id,
      coordinatorKey: challenge.public_key,
      coordinatorNonce: challenge.nonce,
      channelBinding: connection.channelBinding,
    };
    await this.#checkCoordinator(challenge, facts);
    const signature = await signer.sign(handshakeBytes('worker', facts));
    connection.send({
      message: {
        kind: 'proof',
        signature: Buffer.from(signature).toString('base64'),
        ...this.#offer(),
        labels: this.#config.labels,
        slots: this.#config.slots,
        backends: this.#config.backends,
        holding: [...this.#held.values()].map(({ attempt }) => keyOf(attempt.assignment)),
      },
    });
    const welcome = await inbox.expect('welcome');
    for (const key of welcome.drop) this.#drop(key, 'the coordinator no longer waits for this attempt');
    this.#open(connection, inbox.handOver(), welcome.heartbeat_ms);
  }

  /** Announces the adapters again, after one was registered. */
  announce(): void {
    this.#session?.connection.send({ message: { kind: 'manifest', ...this.#offer() } });
  }

  /**
   * Takes no more work, gives what runs here up to `graceMs` to end and be acknowledged, then hands the rest back and says goodbye.
   *
   * @param code what steps are told that run on. STEP_CANCELLED: nobody else will do them. Default CLOSED: another attempt follows
   */
  async close(graceMs: number, code: 'CLOSED' | 'STEP_CANCELLED' = 'CLOSED'): Promise<void> {
    this.#draining = true;
    if (this.#held.size > 0 && this.#session !== undefined) await this.#idle(graceMs);
    for (const { attempt } of this.#held.values()) {
      attempt.stop(code, 'the node shuts down');
      if (attempt.result === undefined)
        this.#send({ kind: 'return', ...keyOf(attempt.assignment), why: 'the node shuts down' });
      this.#settle(attempt.abandoned());
    }
    this.#held.clear();
    this.#send({ kind: 'goodbye', why: 'the node shuts down' });
    this.#session?.connection.close();
    this.#session = undefined;
    await this.#settled(graceMs);
  }

  /** Resolves when no acknowledgement is under way any more, or after `graceMs`. */
  async #settled(graceMs: number): Promise<void> {
    if (this.#settling.size === 0) return;
    const late = Promise.withResolvers<void>();
    const stop = this.#deps.clock.timer(graceMs, late.resolve);
    await Promise.race([Promise.all(this.#settling), late.promise]);
    stop();
  }

  #offer(): { adapters: MessageOf<'proof'>['adapters']; resources: Record<string, number> } {
    const adapters = this.#deps.registry.manifests();
    const resources = { ...this.#config.resources };
    for (const manifest of adapters)
      for (const [name, amount] of Object.entries(manifest.resources ?? {})) resources[name] ??= amount;
    return { adapters, resources };
  }

  async #checkCoordinator(challenge: MessageOf<'challenge'>, facts: HandshakeFacts): Promise<void> {
    if (challenge.version < protocolVersionMin || challenge.version > protocolVersion)
      throw new JSONFlowError(
        'PROTOCOL_VERSION',
        `the coordinator speaks version ${challenge.version} of the protocol`,
        {
          hint: 'Run the same release of JSONFlow on both nodes.',
        },
      );
    const signature = Buffer.from(challenge.signature, 'base64');
    const sound = await this.#deps.verifier.verify(
      challenge.public_key,
      handshakeBytes('coordinator', facts),
      signature,
    );
    if (!sound)
      throw new JSONFlowError('NOT_TRUSTED', `${challenge.node_id} could not prove that it holds its key`, {
        hint: 'Something between the nodes may be relaying the connection.',
      });
    const keyId = keyIdOf(challenge.public_key);
    const { coordinatorKeyId } = this.#config;
    if (coordinatorKeyId !== undefined && coordinatorKeyId !== keyId)
      throw new JSONFlowError('NOT_TRUSTED', `the coordinator has key ${keyId}, not the expected ${coordinatorKeyId}`, {
        hint: 'Check the address, or the pinned key id.',
      });
  }

  #open(connection: Connection, early: Packet[], heartbeatMs: number): void {
    const blobs = new BlobExchange(
      connection,
      // A coordinator has no business asking a worker for blobs: results carry what they refer to.
      {
        load: async () => undefined,
        save: async () => Promise.reject(new JSONFlowError('NOT_FOUND', 'no blob store here')),
      },
      'connecting',
    );
    const session: Session = { connection, blobs, heard: true, stopWatch: undefined };
    this.#session?.connection.destroy();
    this.#session = session;
    connection.onClose(() => {
      session.stopWatch?.();
      if (this.#session === session) this.#session = undefined;
    });
    // Within one process nobody pings, and neither end can vanish alone.
    if (!connection.local) this.#watch(session, heartbeatMs * heartbeatsMissedMax);
    for (const packet of early) this.#receive(session, packet);
    connection.onPacket((packet) => this.#receive(session, packet));
    for (const { attempt, checkpoint } of this.#held.values()) {
      if (checkpoint !== undefined) this.#send(checkpoint.message);
      if (attempt.result !== undefined) this.#send(attempt.result);
    }
    for (const wake of this.#sessionWaiters.splice(0)) wake(session);
  }

  /** A coordinator whose machine is gone says nothing, and its end of the connection is never closed. */
  #watch(session: Session, silenceMs: number): void {
    session.stopWatch = this.#deps.clock.timer(silenceMs, () => {
      if (!session.heard)
        return session.connection.destroy(
          new JSONFlowError('NODE_LOST', `the coordinator has been silent for ${silenceMs} ms`, { retriable: true }),
        );
      session.heard = false;
      this.#watch(session, silenceMs);
    });
  }

  #receive(session: Session, { message, bytes }: Packet): void {
    session.heard = true;
    if (isBlobMessage(message)) return session.blobs.receive(message, bytes);
    switch (message.kind) {
      case 'assign':
        return this.#assign(message);
      case 'cancel':
        this.#held.get(nameOf(message))?.attempt.stop('STEP_CANCELLED', message.why);
        return;
      case 'ack':
        return this.#acknowledged(message);
      case 'checkpoint.saved':
        return this.#checkpointSaved(message);
      case 'ping':
        return this.#send({ kind: 'pong', at: message.at, running: this.#running(), free: {} });
      case 'goodbye':
        return session.connection.close();
      default:
        // A message of a later release, or one that only workers send: not for us.
        return;
    }
  }

  #running(): number {
    let running = 0;
    for (const { attempt } of this.#held.values()) if (attempt.result === undefined) running += 1;
    return running;
  }

  #assign({ assignment }: MessageOf<'assign'>): void {
    const name = nameOf(assignment);
    if (this.#held.has(name)) return;
    const refusal = this.#draining
      ? 'the node shuts down'
      : this.#running() >= this.#config.slots
        ? 'no free slot'
        : undefined;
    if (refusal !== undefined) return this.#send({ kind: 'return', ...keyOf(assignment), why: refusal });
    const held: Held = {
      attempt: new Attempt(assignment, this.#deps, this.#linkFor(assignment)),
      saves: 0,
      checkpoint: undefined,
    };
    this.#held.set(name, held);
    void held.attempt.run().then((result) => {
      // Where the attempt was dropped meanwhile nobody wants its result.
      if (this.#held.get(name) === held) this.#send(result);
    });
  }

  #acknowledged(message: MessageOf<'ack'>): void {
    const held = this.#held.get(nameOf(message));
    if (held?.attempt.result === undefined) return;
    this.#release(nameOf(message));
    this.#settle(message.accepted ? held.attempt.committed() : held.attempt.abandoned());
  }

  /** Acknowledgements to the outside may still be under way when the worker closes, and must get through before adapters do. */
  #settle(settled: Promise<void>): void {
    this.#settling.add(settled);
    void settled.then(() => this.#settling.delete(settled));
  }

  #drop(key: AttemptKey, why: string): void {
    const held = this.#held.get(nameOf(key));
    if (held === undefined) return;
    held.attempt.stop('STEP_CANCELLED', why);
    this.#release(nameOf(key));
    this.#settle(held.attempt.abandoned());
  }

  #release(name: string): void {
    this.#held.delete(name);
    if (this.#held.size === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  #send(message: Message): void {
    this.#session?.connection.send({ message });
  }

  /** What an attempt may do with the connection, whichever is open at the time. */
  #linkFor(assignment: MessageOf<'assign'>['assignment']): ContextLink {
    const key = keyOf(assignment);
    const { clock } = this.#deps;
    return {
      local: this.#session?.connection.local ?? false,
      getBlob: (digest) => this.#overAnySession((session) => session.blobs.get(digest)),
      putBlob: (digest, bytes) => this.#overAnySession((session) => session.blobs.put(digest, bytes)),
      progress: (fraction, note) => this.#send({ kind: 'progress', ...key, fraction, note }),
      log: (level, text) => this.#send({ kind: 'log', ...key, level, text, at: clock.now() }),
      checkpoint: (state) => {
        const held = this.#held.get(nameOf(key));
        assert(held !== undefined, 'an attempt that runs is held');
        // A later state stands for an earlier one that is still under way.
        const saved = held.checkpoint?.saved ?? Promise.withResolvers<void>();
        held.saves += 1;
        held.checkpoint = { message: { kind: 'checkpoint', ...key, save: held.saves, state }, saved };
        this.#send(held.checkpoint.message);
        return saved.promise;
      },
    };
  }

  #checkpointSaved(message: MessageOf<'checkpoint.saved'>): void {
    const held = this.#held.get(nameOf(message));
    // The answer to an earlier state says nothing about the newest, and one that was sent again is answered twice.
    if (held?.checkpoint?.message.save !== message.save) return;
    held.checkpoint.saved.resolve();
    held.checkpoint = undefined;
  }

  /** Does something over the session; if the connection breaks meanwhile, again over the next one. */
  async #overAnySession<T>(transfer: (session: Session) => Promise<T>): Promise<T> {
    for (;;) {
      const session = this.#session ?? (await new Promise<Session>((wake) => this.#sessionWaiters.push(wake)));
      try {
        return await transfer(session);
      } catch (thrown) {
        if (!(thrown instanceof JSONFlowError) || thrown.code !== 'NODE_UNREACHABLE') throw thrown;
        if (this.#session === session) this.#session = undefined;
      }
    }
  }

  #idle(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#deps.clock.timer(graceMs, resolve);
      this.#idleWaiters.push(() => {
        stop();
        resolve();
      });
    });
  }
}

/** Takes the messages of a handshake one at a time. */
class Handshake {
  readonly #connection: Connection;
  readonly #packets: Packet[] = [];
  #wake: (() => void) | undefined;
  #closed: { error: Error | undefined } | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.onPacket((packet) => {
      this.#packets.push(packet);
      this.#wake?.();
    });
    connection.onClose((error) => {
      this.#closed = { error };
      this.#wake?.();
    });
  }

  async expect<Kind extends 'challenge' | 'welcome'>(kind: Kind): Promise<MessageOf<Kind>> {
    while (this.#packets.length === 0) {
      if (this.#closed !== undefined)
        throw new JSONFlowError('NODE_UNREACHABLE', this.#closedMessage(), { retriable: true });
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    const message = this.#packets.shift()?.message;
    if (message?.kind === kind) return message as MessageOf<Kind>;
    if (message?.kind === 'refuse')
      throw new JSONFlowError('NODE_REFUSED', `the coordinator refused this node: ${message.message}`, {
        // INTERNAL is trouble of the coordinator's own, such as a full disk: it passes, or another coordinator takes over.
        retriable: temporaryRefusals.has(message.code),
        details: { code: message.code },
      });
    const error = new JSONFlowError('INVALID_MESSAGE', `expected ${kind} from the coordinator, got ${message?.kind}`);
    this.#connection.destroy(error);
    throw error;
  }

  /** What came right behind the handshake. */
  handOver(): Packet[] {
    return this.#packets.splice(0);
  }

  #closedMessage(): string {
    const cause = this.#closed?.error;
    return `the connection closed during the handshake${cause === undefined ? '' : `: ${messageOf(cause)}`}`;
  }
}
