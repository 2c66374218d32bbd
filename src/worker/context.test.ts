import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { AdapterContext } from '../ports/adapter.ts';
import { AttemptContext } from './context.ts';

const nothing = async (): Promise<void> => undefined;

it('an adapter may take the context apart', async () => {
  const told: number[] = [];
  const acknowledged: (() => void | Promise<void>)[] = [];
  const checkpoints: unknown[] = [];
  const context: AdapterContext = new AttemptContext({
    assignment: {
      run_id: 'r',
      step_id: 's',
      attempt: 1,
      epoch: 1,
      tenant_id: null,
      step_type: 'mock_compute',
      params: { value: {} },
      workflow_digest: '0'.repeat(64),
      step_digest: '0'.repeat(64),
      input_digest: '0'.repeat(64),
      pointers: [],
      parents: [],
      resources: {},
      timeout_ms: null,
      checkpoint_frequency: 'per_step',
    },
    signal: new AbortController().signal,
    deadline: undefined,
    lastCheckpoint: undefined,
    link: {
      local: true,
      getBlob: async () => new Uint8Array(),
      putBlob: nothing,
      progress: (fraction) => void told.push(fraction ?? -1),
      log: () => undefined,
      checkpoint: async (state) => void checkpoints.push(state),
    },
    clock: { now: () => 0, timer: () => () => undefined },
    resolve: async () => '',
    redact: (text) => text,
    afterCommit: (fn) => void acknowledged.push(fn),
    pin: () => undefined,
    varies: () => undefined,
  });
  const { progress, checkpoint, afterCommit } = context;
  progress(0.5);
  await checkpoint({ row: 7 });
  afterCommit(nothing);
  assert.deepEqual(told, [0.5]);
  assert.deepEqual(checkpoints, [{ value: { row: 7 } }]);
  assert.equal(context.keeps_checkpoints, true);
  assert.equal(acknowledged.length, 1);
});
