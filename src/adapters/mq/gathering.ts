import type { JSONObject } from '../../lib/json.ts';
import type { Delivery } from './broker.ts';

/** How long to wait for more once something has come. Ms. */
const lingerMs = 50;
/** How long a batch goes on taking though more keeps coming, beyond the wait for the first. Ms. */
const gatherMsMax = 1_000;
/** How much longer to wait for the first message each time that one is known to be there, and in all. Ms; below what taking a batch may take. */
const delayMs = 2_000;
const delayMsMax = 20_000;
/** Messages that are asked for before anything is known about their size, and how much more each time. */
const firstPortion = 32;
const growth = 8;
const batchBytesDefault = 32 * 1024 * 1024;
const heldBytesDefault = 64 * 1024 * 1024;

/** Bytes of the messages that one step takes. */
export const batchBytesOf = ({ max_bytes }: JSONObject): number =>
  typeof max_bytes === 'number' ? max_bytes : batchBytesDefault;

/** Bytes of the messages that one subscription holds unsettled. */
export const heldBytesOf = ({ max_bytes }: JSONObject): number =>
  typeof max_bytes === 'number' ? max_bytes : heldBytesDefault;

/** What counts as the size of a message: headers as well, since nothing else bounds them. */
export function sizeOf({
  body,
  headers,
  properties: { key },
}: Pick<Delivery, 'body' | 'headers' | 'properties'>): number {
  let size = body.length + (typeof key === 'string' ? key.length : 0);
  for (const name in headers) size += name.length + (headers[name]?.length ?? 0);
  return size;
}

/** How many messages to ask of a broker that counts messages, not bytes: few until their sizes are known, then as many as fit. */
export class Portions {
  #count = firstPortion / growth;
  #average = 0;

  next(messages: number, bytes: number): number {
    const fitting = this.#average === 0 ? messages : Math.ceil(bytes / this.#average);
    return Math.max(1, Math.min(messages, fitting, Math.max(firstPortion, this.#count * growth)));
  }

  came(count: number, bytes: number): void {
    if (count === 0) return;
    this.#count = count;
    this.#average = bytes / count;
  }
}

/**
 * What a batch still takes: so many messages, so many bytes, and for so long. The first message is waited for; then it ends when
 * nothing comes for a moment, and in any case after a while: whoever takes from a trickle must come to an end, too.
 */
export class Gathering {
  readonly #max: number;
  readonly #bytesMax: number;
  readonly #waitMs: number;
  readonly #latestMs: number;
  #untilMs: number;
  #endMs: number;
  count = 0;
  bytes = 0;

  constructor({ max, bytesMax, waitMs }: { max: number; bytesMax: number; waitMs: number }) {
    this.#max = max;
    this.#bytesMax = bytesMax;
    this.#waitMs = waitMs;
    this.#untilMs = performance.now() + waitMs;
    this.#endMs = this.#untilMs + gatherMsMax;
    this.#latestMs = this.#untilMs + delayMsMax;
  }

  /** A message is there that comes later, such as one that went to the end of its queue: none must not be said of such a queue. */
  delayed(): void {
    if (this.count > 0) return;
    this.#untilMs = Math.max(this.#untilMs, Math.min(this.#latestMs, performance.now() + delayMs));
    this.#endMs = this.#untilMs + gatherMsMax;
  }

  took(bytes: number): void {
    this.count += 1;
    this.bytes += bytes;
    this.#untilMs = Math.min(this.#endMs, performance.now() + Math.min(lingerMs, this.#waitMs));
  }

  /** Messages and bytes that may still come. */
  get room(): { messages: number; bytes: number } {
    return { messages: this.#max - this.count, bytes: this.#bytesMax - this.bytes };
  }

  get satisfied(): boolean {
    return this.count >= this.#max || this.bytes >= this.#bytesMax;
  }

  /** How much longer to wait for the next message; 0 where the time is over. */
  get leftMs(): number {
    return Math.max(0, this.#untilMs - performance.now());
  }
}
