import { createHash } from 'node:crypto';
import type { VirtualClock } from './clock.ts';

export interface Violation {
  /** Which promise was broken. */
  check: string;
  what: string;
  /** Virtual ms since the start. */
  at: number;
}

/** What happened in one run of a seed, and what of it must not have. */
export class Reporter {
  readonly lines: string[] = [];
  readonly violations: Violation[] = [];
  readonly #clock: VirtualClock;
  readonly #start: number;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.#start = clock.now();
  }

  get elapsed(): number {
    return this.#clock.now() - this.#start;
  }

  log(line: string): void {
    this.lines.push(`${this.elapsed.toFixed(3)} ${line}`);
  }

  violation(check: string, what: string): void {
    this.violations.push({ check, what, at: this.elapsed });
    this.log(`VIOLATION (${check}): ${what}`);
  }

  /** SHA-256 over everything that happened: equal for equal runs. */
  hash(): string {
    const hash = createHash('sha256');
    for (const line of this.lines) hash.update(line).update('\n');
    return hash.digest('hex');
  }
}
