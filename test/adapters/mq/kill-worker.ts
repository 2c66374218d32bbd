// A process that runs one attempt at a step and is ended by SIGKILL, of its own hand, at the point that it is told.
import { appendFileSync, closeSync, fsyncSync, openSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createMqAdapter } from '../../../src/adapters/mq/adapter.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { bareContext } from '../../support/bare-context.ts';
import { egress } from './brokers.ts';

export interface Task {
  kind: 'publish' | 'consume';
  params: JSONObject;
  key: string;
  /** Chunks of messages that are published, by digest. */
  chunks?: Record<string, string>;
  /** Where receipts are written. */
  receipts: string;
  /** Where to die: the name of a point, or ms after the start of the step. */
  dieAt: string | number | null;
}

const die = (): void => void process.kill(process.pid, 'SIGKILL');

/** Runs the task; `dieAt` decides whether it comes to an end. */
export async function perform({ kind, params, key, chunks = {}, receipts, dieAt }: Task): Promise<JSONObject> {
  const point = (name: string): void => {
    if (dieAt === name) die();
  };
  const adapter = createMqAdapter({ egress });
  // A process that is killed writes no cache when it ends.
  flushCompileCache();
  point('before');
  const timer = typeof dieAt === 'number' ? setTimeout(die, dieAt) : undefined;
  let commit: () => unknown = () => undefined;
  try {
    const type = kind === 'publish' ? 'mq_publish' : 'mq_consume';
    const output = (await adapter.execute(
      { id: 'step', type, params },
      bareContext({
        run_id: key,
        idempotency_key: key,
        afterCommit: (fn) => {
          commit = fn;
        },
        blobs: {
          async get(digest) {
            point(`chunk ${digest}`);
            return Buffer.from(chunks[digest] ?? '');
          },
          put: () => Promise.reject(new Error('nothing is stored here')),
        },
      }),
    )) as JSONObject;
    point('done');
    writeReceipt(receipts, output);
    point('recorded');
    if (dieAt === 'committing') setImmediate(die);
    await commit();
    point('committed');
    return output;
  } finally {
    clearTimeout(timer);
    await adapter.close?.();
  }
}

/** A whole line, on the disk before anything is acknowledged. */
function writeReceipt(path: string, output: JSONObject): void {
  const deliveries = Array.isArray(output.deliveries) ? (output.deliveries as { id: string }[]) : [];
  const file = openSync(path, 'a');
  appendFileSync(file, `${JSON.stringify(deliveries.map(({ id }) => id))}\n`);
  fsyncSync(file);
  closeSync(file);
}

if (import.meta.main) await perform(JSON.parse(process.argv[2] ?? '{}'));
