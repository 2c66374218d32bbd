import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { pae, toEnvelope } from '../../src/core/receipt/dsse.ts';
import { nullDigest, receiptPayload } from '../../src/core/receipt/statement.ts';
import { digestOf } from '../../src/lib/canonical.ts';
import type { JSONValue } from '../../src/lib/json.ts';
import { isoTime } from '../../src/lib/time.ts';
import { type HandshakeFacts, handshakeBytes } from '../../src/link/handshake.ts';
import type { Signer } from '../../src/ports/signer.ts';
import type { Connection } from '../../src/ports/transport.ts';
import type { Assignment, Message, MessageKind, MessageOf } from '../../src/protocol/messages.ts';
import { type Envelope, payloadType, type ReceiptPredicate } from '../../src/protocol/receipt.ts';

/** The same connection as if its other end were another machine: nothing that comes over it is believed. */
export function remote(connection: Connection, channelBinding?: Uint8Array): Connection {
  return {
    peer: connection.peer,
    channelBinding,
    local: false,
    get bufferedBytes() {
      return connection.bufferedBytes;
    },
    send: (packet) => connection.send(packet),
    drained: () => connection.drained(),
    onPacket: (receive) => connection.onPacket(receive),
    onClose: (closed) => connection.onClose(closed),
    close: () => connection.close(),
    destroy: (error) => connection.destroy(error),
  };
}

export interface RawOffer {
  token?: string;
  publicKey?: string;
  versions?: { min: number; max: number };
  nonce?: string;
  proof?: Partial<MessageOf<'proof'>>;
  channelBinding?: Uint8Array;
  /** Changes what is signed. */
  facts?: Partial<HandshakeFacts>;
}

/** A worker that says what a test tells it to, over a real connection and with a real key. */
export class RawWorker {
  readonly id: string;
  readonly signer: Signer;
  readonly connection: Connection;
  closed: { error: Error | undefined } | undefined;
  readonly #messages: Message[] = [];
  #wake: (() => void) | undefined;

  constructor(id: string, signer: Signer, connection: Connection) {
    this.id = id;
    this.signer = signer;
    this.connection = connection;
    connection.onPacket(({ message }) => {
      this.#messages.push(message);
      this.#wake?.();
    });
    connection.onClose((error) => {
      this.closed = { error };
      this.#wake?.();
    });
  }

  send(message: Message): void {
    this.connection.send({ message });
  }

  /** The oldest message of that kind that was not taken yet; those of other kinds stay. */
  async next<Kind extends MessageKind>(kind: Kind): Promise<MessageOf<Kind>> {
    for (;;) {
      const index = this.#messages.findIndex((message) => message.kind === kind || message.kind === 'refuse');
      const [message] = index === -1 ? [] : this.#messages.splice(index, 1);
      if (message?.kind === 'refuse' && kind !== 'refuse') assert.fail(`refused: ${message.code}: ${message.message}`);
      if (message !== undefined) return message as MessageOf<Kind>;
      if (this.closed !== undefined) assert.fail(`closed before ${kind} came: ${String(this.closed.error)}`);
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  /** Resolves when the coordinator has closed the connection. */
  async ended(): Promise<void> {
    while (this.closed === undefined)
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
  }

  hello(offer: RawOffer = {}): MessageOf<'hello'> {
    const hello: MessageOf<'hello'> = {
      kind: 'hello',
      versions: offer.versions ?? { min: 1, max: 1 },
      product: 'raw',
      node_id: this.id,
      public_key: offer.publicKey ?? this.signer.publicKey,
      nonce: offer.nonce ?? randomBytes(32).toString('base64'),
      ...(offer.token === undefined ? {} : { token: offer.token }),
    };
    this.send(hello);
    return hello;
  }

  async prove(
    hello: MessageOf<'hello'>,
    challenge: MessageOf<'challenge'>,
    offer: RawOffer = {},
  ): Promise<MessageOf<'proof'>> {
    const facts: HandshakeFacts = {
      version: challenge.version,
      epoch: challenge.epoch,
      workerId: hello.node_id,
      workerKey: hello.public_key,
      workerNonce: hello.nonce,
      coordinatorId: challenge.node_id,
      coordinatorKey: challenge.public_key,
      coordinatorNonce: challenge.nonce,
      channelBinding: offer.channelBinding,
      ...offer.facts,
    };
    const signature = await this.signer.sign(handshakeBytes('worker', facts));
    const proof: MessageOf<'proof'> = {
      kind: 'proof',
      signature: Buffer.from(signature).toString('base64'),
      adapters: [{ adapter_id: 'raw', version: '1', step_types: [{ type: 'raw_step' }] }],
      resources: {},
      labels: {},
      slots: 8,
      backends: [],
      holding: [],
      ...offer.proof,
    };
    this.send(proof);
    return proof;
  }

  async join(offer: RawOffer = {}): Promise<MessageOf<'welcome'>> {
    const hello = this.hello(offer);
    await this.prove(hello, await this.next('challenge'), offer);
    return this.next('welcome');
  }

  /** An honest receipt's statement for an assignment; `change` makes it a lie that is signed all the same. */
  predicate(assignment: Assignment, output: JSONValue, change: Partial<ReceiptPredicate> = {}): ReceiptPredicate {
    const at = isoTime(Date.UTC(2030, 0, 1));
    return {
      run_id: assignment.run_id,
      step_id: assignment.step_id,
      step_type: assignment.step_type,
      attempt: assignment.attempt,
      epoch: assignment.epoch,
      tenant_id: assignment.tenant_id,
      workflow_digest: assignment.workflow_digest,
      step_digest: assignment.step_digest,
      input_digest: assignment.input_digest,
      output_digest: digestOf(output),
      parents: assignment.parents,
      adapter: { id: 'raw', version: '1' },
      node: { id: this.id, key_id: this.signer.keyId },
      started_at: at,
      finished_at: at,
      status: 'success',
      deterministic: false,
      resources: assignment.resources,
      ...change,
    };
  }

  async sign(predicate: ReceiptPredicate, signer: Signer = this.signer): Promise<Envelope> {
    const payload = receiptPayload(predicate);
    return toEnvelope(payload, signer.keyId, await signer.sign(pae(payloadType, payload)));
  }

  /** The result message of an attempt, honest unless changed. */
  async result(
    assignment: Assignment,
    output: JSONValue,
    change: { predicate?: Partial<ReceiptPredicate>; message?: Partial<MessageOf<'result'>> } = {},
  ): Promise<MessageOf<'result'>> {
    const predicate = this.predicate(assignment, output, change.predicate);
    const { run_id, step_id, attempt, epoch } = assignment;
    return {
      kind: 'result',
      run_id,
      step_id,
      attempt,
      epoch,
      envelope: await this.sign(predicate),
      output: { value: predicate.status === 'failed' ? null : output },
      output_digest: predicate.status === 'failed' ? nullDigest : digestOf(output),
      ...(predicate.error === undefined ? {} : { error: predicate.error }),
      ...change.message,
    };
  }

  /** Takes the next assignment and answers it honestly. */
  async work(output: JSONValue = { done: true }): Promise<Assignment> {
    const { assignment } = await this.next('assign');
    this.send(await this.result(assignment, output));
    await this.next('ack');
    return assignment;
  }
}
