// A child program that does what native code may do.
import { writeSync } from 'node:fs';
import { serve } from '../../../../src/adapters/ml/process/serve.ts';
import { StepError } from '../../../../src/lib/errors.ts';

const kept: Uint8Array[] = [];

serve({
  echo: (value: unknown) => value,
  pid: () => process.pid,
  environment: () => ({ ...process.env }),
  events(count: number, { emit }) {
    for (let index = 0; index < count; index += 1) emit(index);
    return count;
  },
  tell: (events: unknown[], { emit }) => events.forEach(emit),
  refuse() {
    throw new StepError('ML_INVALID_MODEL', 'no model', { retryable: false });
  },
  fail() {
    throw new TypeError('a defect');
  },
  crash: () => process.abort(),
  end: (code: number) => process.exit(code),
  fault: () => process.kill(process.pid, 'SIGSEGV'),
  hang() {
    for (;;);
  },
  /** As native code may that has the number of the channel. */
  write: (bytes: Uint8Array) => writeSync(3, bytes),
  /** More than a message may have. */
  flood: () => Array.from({ length: 5 }, () => new Uint8Array(256 * 1024 * 1024)),
  /** Touches what it takes. */
  bomb() {
    for (;;) kept.push(new Uint8Array(16 * 1024 * 1024).fill(1));
  },
  allocate(megabytes: number) {
    return new Uint8Array(megabytes * 1024 * 1024).fill(1).length;
  },
});
