import { Worker } from 'node:worker_threads';

const source = `
  const { writeSync } = require('node:fs');
  const { parent, limit, everyMs } = require('node:worker_threads').workerData;
  const bytes = new Float64Array(limit);
  const hasParent = () => {
    try {
      process.kill(parent, 0);
      return process.ppid === parent;
    } catch {
      return false;
    }
  };
  setInterval(() => {
    const isTooLarge = bytes[0] > 0 && process.memoryUsage.rss() > bytes[0];
    if (isTooLarge) writeSync(2, 'out of memory\\n');
    if (isTooLarge || !hasParent()) process.kill(process.pid, 'SIGKILL');
  }, everyMs);`;

/**
 * Ends the process when its parent has ended, or when it has more memory than it may. For systems where nobody else does: a thread of its own
 * looks, which runs while native code holds the main one.
 */
export class Watch {
  readonly #limit = new Float64Array(new SharedArrayBuffer(8));
  readonly #baseBytes = process.memoryUsage.rss();

  /** @param parent its process id */
  constructor(parent: number) {
    const workerData = { parent, limit: this.#limit.buffer, everyMs: 50 };
    new Worker(source, { eval: true, env: {}, argv: [], stdin: false, workerData }).unref();
  }

  /** @param memoryMb MiB beyond what the process began with */
  limitMemory(memoryMb: number): void {
    this.#limit[0] = this.#baseBytes + memoryMb * 1024 * 1024;
  }
}
