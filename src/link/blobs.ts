import { JSONFlowError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { Connection, Packet } from '../ports/transport.ts';
import { limits } from '../protocol/limits.ts';
import type { Message, MessageOf } from '../protocol/messages.ts';

/** Where a peer's requests for blobs go. */
export interface BlobShelf {
  load(digest: string): Promise<Uint8Array | undefined>;
  save(digest: string, bytes: Uint8Array): Promise<void>;
}

interface Incoming {
  digest: string;
  /** As it was announced; undefined where only the first piece will tell. */
  total: number | undefined;
  buffer: Uint8Array | undefined;
  received: number;
  done(bytes: Uint8Array): void;
  fail(error: Error): void;
}

/** A peer that keeps to the protocol has one transfer each way under way; a few may overlap as they end. */
const peerTransfersMax = 8;

export type BlobMessage = Extract<Message, { kind: `blob.${string}` }>;
export const isBlobMessage = (message: Message): message is BlobMessage => message.kind.startsWith('blob.');

/**
 * Moves blobs over one connection, in both directions, in chunks that share it with other messages. Each end numbers its own
 * transfers, the connecting end with odd numbers, the other with even ones. What arrives is checked against its digest.
 */
export class BlobExchange {
  readonly #connection: Connection;
  readonly #shelf: BlobShelf;
  /** Transfers that this end asked for. */
  readonly #gets = new Map<number, Incoming>();
  readonly #puts = new Map<number, { done(): void; fail(error: Error): void }>();
  /** Transfers that the peer began to send. */
  readonly #arriving = new Map<number, Incoming>();
  readonly #parity: 0 | 1;
  #next: number;
  /** Blobs that the peer asked for and that were not sent yet. */
  #answering = 0;
  /** What the peer sends or has sent, until it is saved and answered. */
  #taking = 0;
  #takingBytes = 0;
  #broken: JSONFlowError | undefined;
  /** Own transfers go one after the other, so that neither end holds more than one large value each way. */
  #turn: Promise<unknown> = Promise.resolve();
  /** So do answers: a peer that asks for much and reads slowly has one blob held for it. */
  #answerTurn: Promise<unknown> = Promise.resolve();

  constructor(connection: Connection, shelf: BlobShelf, end: 'connecting' | 'accepting') {
    this.#connection = connection;
    this.#shelf = shelf;
    this.#parity = end === 'connecting' ? 1 : 0;
    this.#next = this.#parity;
    connection.onClose((cause) => {
      const error = new JSONFlowError('NODE_UNREACHABLE', 'the connection closed during a transfer', {
        retriable: true,
        ...(cause === undefined ? {} : { cause }),
      });
      this.#broken = error;
      for (const transfer of [...this.#gets.values(), ...this.#puts.values()]) transfer.fail(error);
      this.#gets.clear();
      this.#puts.clear();
      this.#arriving.clear();
    });
  }

  /** @throws JSONFlowError NOT_FOUND where the peer lacks the blob, NODE_UNREACHABLE where the connection breaks or is closed */
  get(digest: string): Promise<Uint8Array> {
    return this.#inTurn(() => this.#get(digest));
  }

  /** Resolves when the peer has stored the bytes durably. */
  put(digest: string, bytes: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#put(digest, bytes));
  }

  #inTurn<T>(transfer: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#broken !== undefined) throw this.#broken;
      return transfer();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #get(digest: string): Promise<Uint8Array> {
    const id = this.#number();
    return new Promise((done, fail) => {
      this.#gets.set(id, { digest, total: undefined, buffer: undefined, received: 0, done, fail });
      this.#connection.send({ message: { kind: 'blob.get', digest, id } });
    });
  }

  async #put(digest: string, bytes: Uint8Array): Promise<void> {
    const id = this.#number();
    const stored = new Promise<void>((done, fail) => this.#puts.set(id, { done, fail }));
    this.#connection.send({ message: { kind: 'blob.put', digest, id, total: bytes.length } });
    const [, outcome] = await Promise.allSettled([this.#sendData(id, bytes), stored]);
    if (outcome.status === 'rejected') throw outcome.reason;
  }

  receive(message: BlobMessage, bytes: Packet['bytes']): void {
    switch (message.kind) {
      case 'blob.get':
        return this.#answer(message);
      case 'blob.put':
        return this.#accept(message);
      case 'blob.data':
        return this.#data(message, bytes ?? new Uint8Array(0));
      case 'blob.missing': {
        const error = new JSONFlowError('NOT_FOUND', 'the peer does not have the blob, or could not store it');
        this.#gets.get(message.id)?.fail(error);
        this.#puts.get(message.id)?.fail(error);
        this.#gets.delete(message.id);
        this.#puts.delete(message.id);
        return;
      }
      case 'blob.stored':
        this.#puts.get(message.id)?.done();
        this.#puts.delete(message.id);
        return;
    }
  }

  #number(): number {
    this.#next += 2;
    return this.#next;
  }

  #answer({ digest, id }: MessageOf<'blob.get'>): void {
    if (this.#answering >= peerTransfersMax) return this.#violation('too many blobs are asked for at once');
    this.#answering += 1;
    this.#answerTurn = this.#answerTurn.then(async () => {
      if (this.#broken === undefined) await this.#sendBlob(digest, id);
      this.#answering -= 1;
    });
  }

  async #sendBlob(digest: string, id: number): Promise<void> {
    const bytes = await this.#shelf.load(digest).catch(() => undefined);
    if (bytes === undefined) return this.#connection.send({ message: { kind: 'blob.missing', id } });
    await this.#sendData(id, bytes);
  }

  async #sendData(id: number, bytes: Uint8Array): Promise<void> {
    const total = bytes.length;
    let offset = 0;
    do {
      const chunk = bytes.subarray(offset, offset + limits.blobChunkBytes);
      this.#connection.send({ message: { kind: 'blob.data', id, offset, total }, bytes: chunk });
      offset += chunk.length;
      await this.#connection.drained();
    } while (offset < total && this.#broken === undefined);
  }

  #accept({ digest, id, total }: MessageOf<'blob.put'>): void {
    if (id % 2 === this.#parity || this.#arriving.has(id))
      return this.#violation(`transfer number ${id} is not the peer's to use`);
    // A store may be slower than a peer: what it has not saved yet is held here and counts.
    if (this.#taking >= peerTransfersMax || this.#takingBytes + total > limits.blobBytesMax)
      return this.#violation('too much is being sent at once');
    this.#taking += 1;
    this.#takingBytes += total;
    const reply = (kind: 'blob.stored' | 'blob.missing') => {
      this.#taking -= 1;
      this.#takingBytes -= total;
      this.#connection.send({ message: { kind, id } });
    };
    this.#arriving.set(id, {
      digest,
      total,
      buffer: undefined,
      received: 0,
      done: (bytes) =>
        void this.#shelf.save(digest, bytes).then(
          () => reply('blob.stored'),
          () => reply('blob.missing'),
        ),
      fail: () => reply('blob.missing'),
    });
  }

  #data(message: MessageOf<'blob.data'>, bytes: Uint8Array): void {
    const { id, offset, total } = message;
    const own = id % 2 === this.#parity;
    const transfers = own ? this.#gets : this.#arriving;
    const transfer = transfers.get(id);
    // A transfer that this end has given up.
    if (transfer === undefined) return;
    if (total > limits.blobBytesMax) return this.#violation(`a blob of ${total} bytes is above the limit`);
    if (transfer.total !== undefined && transfer.total !== total)
      return this.#violation('a blob arrived with another size than was announced');
    transfer.buffer ??= new Uint8Array(total);
    if (offset !== transfer.received || transfer.buffer.length !== total || offset + bytes.length > total)
      return this.#violation('a blob arrived out of order');
    transfer.buffer.set(bytes, offset);
    transfer.received += bytes.length;
    if (transfer.received < total) return;
    transfers.delete(id);
    if (sha256(transfer.buffer) === transfer.digest) transfer.done(transfer.buffer);
    else
      transfer.fail(new JSONFlowError('BAD_EVIDENCE', `the bytes that came are not those of blob ${transfer.digest}`));
  }

  #violation(what: string): void {
    this.#connection.destroy(new JSONFlowError('INVALID_MESSAGE', what));
  }
}
