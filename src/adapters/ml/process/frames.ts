// Messages between two processes over a socket: the length in 4 bytes, then the structured clone. Node's own channel would end the node where
// a child, whose memory its kernels may have written to, sends what can't be read, or more than 4 GiB.
import type { Duplex } from 'node:stream';
import { StepError } from '../../../lib/errors.ts';
import { pack, type SharedFile, unpack } from './exchange.ts';

/** Bytes that one message may have. */
export const frameBytesMax = 1024 * 1024 * 1024;
const headBytes = 4;

export interface FrameHooks {
  onValue(value: unknown): void;
  /** What came is no message: nothing more will be read. */
  onBroken(why: string): void;
}

export class Frames {
  readonly #socket: Duplex;
  readonly #file: SharedFile;
  readonly #hooks: FrameHooks;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes of what is read next: a head, or the message that it announced. */
  #needed = headBytes;
  #isHead = true;

  /** @param file for what is large in a message */
  constructor(socket: Duplex, file: SharedFile, hooks: FrameHooks) {
    this.#socket = socket;
    this.#file = file;
    this.#hooks = hooks;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  /** @throws StepError ML_TENSOR_TOO_LARGE; an error where the value has no structured clone */
  send(value: unknown): void {
    const bytes = pack(value, this.#file);
    if (bytes.length > frameBytesMax)
      throw new StepError(
        'ML_TENSOR_TOO_LARGE',
        `the tensors of one call are too large: at most ${frameBytesMax} bytes are given to a process, or taken from it, at once`,
      );
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(bytes.length);
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(bytes);
    this.#socket.uncork();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#needed) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? chunk) : Buffer.concat(this.#chunks);
      const part = all.subarray(0, this.#needed);
      this.#bytes -= this.#needed;
      this.#chunks = this.#bytes === 0 ? [] : [all.subarray(this.#needed)];
      if (!this.#read(part)) return this.#stop();
    }
  }

  /** @returns whether it could be read */
  #read(part: Buffer): boolean {
    this.#isHead = !this.#isHead;
    if (this.#isHead) {
      this.#needed = headBytes;
      let value: unknown;
      try {
        value = unpack(part, this.#file);
      } catch {
        this.#hooks.onBroken('sent a message that can not be read');
        return false;
      }
      this.#hooks.onValue(value);
      return true;
    }
    this.#needed = part.readUInt32LE();
    if (this.#needed <= frameBytesMax) return true;
    this.#hooks.onBroken(`announced a message of ${this.#needed} bytes`);
    return false;
  }

  #stop(): void {
    this.#chunks = [];
    this.#socket.removeAllListeners('data').resume();
  }
}
