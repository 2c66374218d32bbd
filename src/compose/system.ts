import { randomBytes, randomFillSync } from 'node:crypto';
import type { Clock, Random } from '../ports/clock.ts';

/** The real clock. Its timers don't keep the process alive; what has to be waited for holds a socket or a promise. */
export const systemClock: Clock = {
  now: () => Date.now(),
  timer(ms, fn) {
    // Longer waits than a timer can take are cut in two.
    const longest = 2_147_483_647;
    if (ms > longest) {
      let stop = systemClock.timer(longest, () => {
        stop = systemClock.timer(ms - longest, fn);
      });
      return () => stop();
    }
    const handle = setTimeout(fn, ms);
    handle.unref();
    return () => clearTimeout(handle);
  },
};

/** Random bytes are drawn in bulk: a call for sixteen costs as much as one for a thousand. */
const pool = Buffer.alloc(4096);
let used = pool.length;

function fromPool(count: number): Buffer {
  if (used + count > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += count;
  return pool.subarray(used - count, used);
}

export const systemRandom: Random = {
  /** A UUID of version 7 (RFC 9562): 48 bits of time, 74 random ones. */
  runId(now) {
    const time = now.toString(16).padStart(12, '0');
    const random = fromPool(10);
    const a = (((random[0] ?? 0) & 0x0f) | 0x70).toString(16).padStart(2, '0');
    const b = (random[1] ?? 0).toString(16).padStart(2, '0');
    const c = (((random[2] ?? 0) & 0x3f) | 0x80).toString(16).padStart(2, '0');
    const d = (random[3] ?? 0).toString(16).padStart(2, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}-${a}${b}-${c}${d}-${random.toString('hex', 4, 10)}`;
  },
  bytes: (count) => randomBytes(count),
  fraction: () => fromPool(4).readUInt32LE(0) / 2 ** 32,
};
