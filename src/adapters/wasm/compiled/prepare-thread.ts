// The program of a thread that makes one large module ready.
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, StepError } from '../../../lib/errors.ts';
import type { Policy } from '../types.ts';
import { type Prepared, prepare } from './prepare.ts';

export type Answer = { prepared: Prepared } | { failure: { code: string; message: string } };

const { bytes, policy } = workerData as { bytes: Uint8Array; policy: Policy };

async function answer(): Promise<Answer> {
  try {
    return { prepared: await prepare(bytes, policy) };
  } catch (thrown) {
    const code = thrown instanceof StepError ? thrown.code : 'SANDBOX_CRASHED';
    return { failure: { code, message: messageOf(thrown) } };
  }
}

parentPort?.postMessage(await answer());
