// The program of a thread that does one job after another, each to its end: whoever has enough of it ends the thread.
import { parentPort } from 'node:worker_threads';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { runWork } from '../jobs/run.ts';
import type { FromThread, ToThread } from './messages.ts';

const say = (message: FromThread): void => parentPort?.postMessage(message);

parentPort?.on('message', ({ work }: ToThread) => {
  try {
    const output = runWork(work, {
      progress: (fraction, note = '') => say({ kind: 'progress', fraction, note }),
      checkpoint: (state) => say({ kind: 'checkpoint', state }),
    });
    say({ kind: 'done', output });
  } catch (thrown) {
    const known = thrown instanceof StepError;
    say({
      kind: 'failed',
      code: known ? thrown.code : 'QUANTUM_CRASHED',
      message: known ? thrown.message : `the simulation failed: ${messageOf(thrown)}`,
      retryable: known && thrown.retryable,
    });
  }
});
