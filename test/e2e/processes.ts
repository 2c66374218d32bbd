import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { EngineConfig } from '../../src/compose/distributed-engine.ts';

const script = fileURLToPath(new URL('./node.ts', import.meta.url));

export interface Ready {
  ready: string;
  url?: string;
  http?: string;
}

/** A node's process; the lines it prints, parsed. */
export class NodeProcess {
  readonly child: ChildProcess;
  readonly ready: Promise<Ready>;
  readonly exited: Promise<number | null>;
  readonly #lines: Record<string, unknown>[] = [];
  #wake: (() => void)[] = [];
  #ended = false;
  /** What it said before it ended by itself with an error. */
  crashed: string | undefined;

  constructor(config: EngineConfig & { ledger: string }) {
    this.child = spawn(process.execPath, [script, JSON.stringify(config)], { stdio: ['pipe', 'pipe', 'pipe'] });
    let errors = '';
    this.child.stderr?.on('data', (chunk) => {
      errors = (errors + chunk).slice(-4_000);
    });
    assert.ok(this.child.stdout !== null);
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.#lines.push(JSON.parse(line));
      for (const wake of this.#wake.splice(0)) wake();
    });
    this.exited = once(this.child, 'exit').then(([code]) => {
      this.#ended = true;
      for (const wake of this.#wake.splice(0)) wake();
      // Exit by a signal is what tests do to it.
      if (code !== null && code !== 0) this.crashed = `${config.nodeId} exited with ${code}\n${errors}`;
      return code;
    });
    this.ready = this.line((line) => 'ready' in line).then((line) => {
      if (line === undefined) throw new Error(`${config.nodeId} ended before it was ready\n${errors}`);
      return line as unknown as Ready;
    });
    // A process that is killed while it starts is not ready, and nobody may be waiting for it.
    this.ready.catch(() => undefined);
  }

  /** The first line that fits, once it is there; undefined where the process ends without it. */
  async line(fits: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown> | undefined> {
    for (let next = 0; ; ) {
      for (; next < this.#lines.length; next++) {
        const line = this.#lines[next];
        if (line !== undefined && fits(line)) return line;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((wake) => this.#wake.push(wake));
    }
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

/** A seeded generator (mulberry32): the same seed gives the same schedule of faults. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
