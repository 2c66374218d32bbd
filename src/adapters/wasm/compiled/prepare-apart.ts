import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { StepError } from '../../../lib/errors.ts';
import type { Policy } from '../types.ts';
import { type Prepared, prepare } from './prepare.ts';
import type { Answer } from './prepare-thread.ts';

/** A larger module would hold up whatever else the node does, such as its heartbeats, longer than a thread takes to start. */
const inPlaceBytesMax = 512 * 1024;
const program = new URL(`./prepare-thread${extname(import.meta.url)}`, import.meta.url);

/** As `prepare`, for a large module in a thread of its own. @throws StepError as `prepare`, SANDBOX_CRASHED (retryable) */
export async function prepareApart(bytes: Uint8Array, policy: Policy): Promise<Prepared> {
  if (bytes.length <= inPlaceBytesMax) return prepare(bytes, policy);
  const worker = new Worker(program, {
    name: 'wasm-prepare',
    workerData: { bytes, policy },
    argv: [],
    env: {},
    execArgv: ['--no-warnings'],
  });
  try {
    const exited = once(worker, 'exit').then((): never => {
      throw new Error('it ended');
    });
    const answered = once(worker, 'message').then(([answer]) => answer as Answer);
    const answer = await Promise.race([answered, exited]);
    if ('prepared' in answer) return answer.prepared;
    throw new StepError(answer.failure.code, answer.failure.message);
  } catch (cause) {
    if (cause instanceof StepError) throw cause;
    throw new StepError('SANDBOX_CRASHED', 'the thread that makes the module ready was lost', {
      retryable: true,
      cause,
    });
  } finally {
    await worker.terminate();
  }
}
