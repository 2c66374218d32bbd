// A child program that does what native code may do.
import { serve } from '../../../../src/adapters/ml/process/serve.ts';
import { StepError } from '../../../../src/lib/errors.ts';

const kept: Uint8Array[] = [];

serve({
  echo: (value: unknown) => value,
  pid: () => process.pid,
  environment: () => process.env,
  events(count: number, { emit }) {
    for (let index = 0; index < count; index += 1) emit(index);
    return count;
  },
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
  /** Touches what it takes. */
  bomb() {
    for (;;) kept.push(new Uint8Array(16 * 1024 * 1024).fill(1));
  },
  allocate(megabytes: number) {
    return new Uint8Array(megabytes * 1024 * 1024).fill(1).length;
  },
});
