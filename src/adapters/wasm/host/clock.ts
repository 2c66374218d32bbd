import type { Guest } from '../types.ts';

const nsPerMs = 1_000_000n;
/** Some 292 years: no sleep goes beyond, so that sums stay within 64 bits. */
const furthest = 2n ** 63n - 1n;

/** Time that follows from the call alone: a nanosecond passes with each unit of fuel, and what the module sleeps passes at once. */
export class GuestClock {
  readonly #guest: Guest;
  readonly #start: bigint;
  #slept = 0n;

  /** @param timeMs what the clock shows at first, in ms since 1970 */
  constructor(guest: Guest, timeMs: number) {
    this.#guest = guest;
    this.#start = BigInt(Math.trunc(timeMs)) * nsPerMs;
  }

  /** ns of work, without the sleep. */
  get work(): bigint {
    return this.#guest.fuelUsed();
  }

  /** ns since the call began. */
  get monotonic(): bigint {
    return this.work + this.#slept;
  }

  /** ns since 1970. */
  get realtime(): bigint {
    return this.#start + this.monotonic;
  }

  /** Lets time pass, without waiting. */
  sleep(ns: bigint): void {
    if (ns <= 0n) return;
    const left = furthest - this.#slept;
    this.#slept += ns < left ? ns : left;
  }

  get realtimeMs(): number {
    return Number(this.realtime / nsPerMs);
  }

  get monotonicMs(): number {
    return Number(this.monotonic) / Number(nsPerMs);
  }
}
