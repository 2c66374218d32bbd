import { limits } from '../protocol/limits.ts';

/** Beyond this a peer does not read, and the connection is given up rather than the memory. */
export const overloadBytes = 4 * limits.sendBufferBytesMax;

/**
 * Holds back those who await `drained()` while more than `limits.sendBufferBytesMax` is queued, and lets all go at half of it, so
 * that a sender at the limit works in batches instead of one packet at a time.
 */
export class DrainGate {
  #waiting: (() => void)[] = [];

  wait(bufferedBytes: number): Promise<void> {
    if (bufferedBytes <= limits.sendBufferBytesMax) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** To be called whenever the queue has become shorter. */
  update(bufferedBytes: number): void {
    if (this.#waiting.length > 0 && bufferedBytes <= limits.sendBufferBytesMax / 2) this.open();
  }

  /** Lets everyone go, as when the connection has ended and sending no longer does anything. */
  open(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
