// Kernels, training and inference on real worker processes, while these and the processes of their native code are killed: every run ends with
// what it gives in peace. JSONFLOW_LONG=1 runs more seeds and runs.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { DistributedEngine } from '../../src/compose/distributed-engine.ts';
import { verifyBundle } from '../../src/compose/offline.ts';
import type { JSONObject } from '../../src/lib/json.ts';
import { withoutDevice } from '../adapters/ml/devices.ts';
import { withCluster } from './cluster.ts';
import { type NodeProcess, seeded } from './processes.ts';

const long = process.env.JSONFLOW_LONG === '1';
const seeds = long ? Array.from({ length: 10 }, (_, index) => index + 1) : [3];
const runs = long ? 30 : 4;
const noKernels = await withoutDevice('opencl');
const skip = process.platform === 'linux' ? false : 'which process began which is read from /proc';

/** Trains a net, asks it for one row and for many, and adds two lists in a kernel; other numbers in each. */
function workflowOf(number: number): JSONObject {
  const points = Array.from({ length: 60 }, (_, index) => [Math.sin(index + number), Math.cos(3 * index)]);
  const steps: JSONObject[] = [
    {
      id: 'train',
      type: 'ml_train',
      params: {
        data: points.map(([x = 0, y = 0]) => [x, y, x * y > 0 ? 'same' : 'other']),
        layers: [{ type: 'dense', units: 16, activation: 'tanh' }, { type: 'dense' }],
        epochs: 150,
        seed: number,
      },
    },
    {
      id: 'one',
      type: 'ml_infer',
      params: { model: '$train.model', input: [points[0] ?? []], dynamic_batching: false },
    },
    {
      id: 'many',
      type: 'ml_batch',
      // Large enough for its tensors to cross in shared memory.
      params: {
        model: '$train.model',
        input: Array.from({ length: 8_000 }, (_, row) => [row, number]),
        batch_size: 4_096,
      },
    },
  ];
  if (noKernels === false)
    steps.push({
      id: 'kernel',
      type: 'gpu_compute',
      params: {
        language: 'opencl',
        source: 'kernel void twice(global float* x) { x[get_global_id(0)] *= 2; }',
        global: 4,
        arguments: [{ name: 'x', type: 'float32', data: [number, 2, 3, 4], output: true }],
      },
    });
  const fault_tolerance = {
    retry_failed_steps: true,
    max_retries: 100,
    backoff_ms: 20,
    backoff_max_ms: 100,
    failover_strategy: 'checkpoint',
  };
  return { workflow: `chaos_${number}`, fault_tolerance, steps };
}

/** How long the compiler took, and whether it had to, is another each time. */
const withoutTimes = ({ compile_ms: _, run_ms: __, cached: ___, ...rest }: JSONObject): JSONObject => rest;

/** Processes that a process has begun. */
function childrenOf(pid: number): number[] {
  const children: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [, parent] = /\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'latin1')) ?? [];
      if (Number(parent) === pid) children.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return children;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

for (const seed of seeds)
  it(`runs end with what they give in peace while nodes and their processes are killed (seed ${seed})`, { skip }, () =>
    withCluster(async ({ client, worker }) => {
      const random = seeded(seed);
      const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
      const workers: NodeProcess[] = [];
      const begun: number[] = [];
      let names = 0;
      const add = async (): Promise<void> => {
        names += 1;
        workers.push(await worker(`w-${names}`));
      };
      const alive = (): NodeProcess[] =>
        workers.filter(({ child }) => child.exitCode === null && child.signalCode === null);
      await Promise.all([add(), add()]);
      const workflows = Array.from({ length: runs }, (_, index) => workflowOf(seed * 1_000 + index));
      const ids = await Promise.all(
        workflows.map((workflow, index) => client.submit(workflow, {}, `${seed}-${index}`)),
      );
      let faults = 0;
      const fault = async (): Promise<void> => {
        faults += 1;
        const node = pick(alive());
        if (node === undefined) return;
        const children = childrenOf(node.child.pid ?? 0);
        begun.push(...children);
        // A step that loses its node five times is given up, for it may be the cause.
        if (faults === 5 || faults === 25) {
          await node.kill();
          return add();
        }
        const victim = pick(children);
        if (victim !== undefined) kill(victim);
      };
      // Each event of a step is an occasion.
      let seen = 0;
      let last = Promise.resolve();
      const watch = (runId: string): Promise<void> =>
        client.follow(runId, (text) => {
          const steps = [...text.matchAll(/"kind":"step\.(?:assigned|progress|checkpoint)"/g)].length;
          if (steps > seen % 7 && random() < 0.2) {
            seen += 1;
            last = last.then(fault);
          }
          return false;
        });
      await Promise.all(ids.map(watch));
      await last;
      const engine = new DistributedEngine({ dataDir: false });
      try {
        const trust = await client.trust();
        for (const [index, runId] of ids.entries()) {
          const { status, error, receipts } = await client.result(runId);
          assert.equal(status, 'completed', JSON.stringify(error));
          const { outputs } = await engine.execute(workflows[index] as JSONObject);
          const ended = receipts.filter((receipt) => receipt.status === 'success');
          assert.deepEqual(ended.map(({ step_id: id }) => id).toSorted(), Object.keys(outputs).toSorted());
          for (const { step_id: id, output } of ended)
            assert.deepEqual(
              withoutTimes(output as JSONObject),
              withoutTimes(outputs[id] as JSONObject),
              `${id} of run ${index}`,
            );
          assert.equal(verifyBundle(await client.bundle(runId), { trust }).ok, true);
        }
      } finally {
        await engine.close();
      }
      console.log(`${faults} faults, ${workers.length} workers`);
      assert.ok(faults > 0, 'something was killed, so that the test means anything');
      for (const node of alive()) await node.kill();
      for (const pid of begun) while (childExists(pid)) await new Promise((resolve) => setImmediate(resolve));
    }),
  );

/** Whether it is still there, but for what its parent has not taken note of. */
function childExists(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
