// WGSL: on any adapter that WebGPU finds, software included.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createMlAdapter } from '../../../src/adapters/ml/adapter.ts';
import { gpuCompute } from '../../../src/adapters/ml/compute/gpu-compute.ts';
import { Processes } from '../../../src/adapters/ml/process/processes.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { withoutDevice } from './devices.ts';

const skip = await withoutDevice('webgpu');
const processes = new Processes();
after(() => processes.close());

async function compute(params: JSONObject, signal?: AbortSignal): Promise<JSONObject> {
  const step = { id: 'kernels', type: 'gpu_compute', params: { language: 'wgsl', ...params } };
  return gpuCompute(step, contextFor(step, signal), { processes });
}

const source = `
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> b: array<f32>;
@group(0) @binding(2) var<uniform> factor: f32;
@compute @workgroup_size(64)
fn scale(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&a)) { b[id.x] += a[id.x] * factor; }
}`;
const values = Array.from({ length: 100 }, (_, index) => index);
const scale = {
  source,
  grid: 2,
  arguments: [
    { name: 'a', type: 'float32', data: values },
    { name: 'b', type: 'float32', size: 100, output: true },
    { type: 'float32', value: 0.5 },
  ],
} satisfies JSONObject;

describe('WGSL', { skip }, () => {
  it('runs, launch after launch, and says where', async () => {
    const { result, device } = await compute({ ...scale, launches: [{}, {}, {}] });
    assert.deepEqual(
      result,
      values.map((value) => value * 1.5),
    );
    assert.equal((device as JSONObject).id, 'webgpu:0');
  });

  it('takes the same arguments for kernels of which each uses some', async () => {
    const more = `
      @compute @workgroup_size(64) fn fill(@builtin(global_invocation_id) id: vec3u) { b[id.x] = factor; }
      @workgroup_size(64) @compute fn copy(@builtin(global_invocation_id) id: vec3u) { b[id.x] = b[id.x] + a[id.x]; }`;
    const launches = ['fill', 'copy', 'scale'].map((entry) => ({ entry }));
    const { result } = await compute({ ...scale, source: source + more, launches });
    assert.deepEqual(
      result,
      values.map((value) => 0.5 + value * 1.5),
    );
  });

  it('has the limits of the adapter, and its half precision where there is one', async () => {
    const large = `@group(0) @binding(0) var<storage, read_write> b: array<u32>;
      @compute @workgroup_size(512) fn count(@builtin(local_invocation_index) i: u32) { b[i] = i; }`;
    const args = [{ name: 'b', type: 'uint32', size: 512, output: true }];
    const { result } = await compute({ source: large, grid: 1, arguments: args });
    assert.equal((result as number[])[511], 511);
    const half = `enable f16;
      @group(0) @binding(0) var<storage, read_write> b: array<f16>;
      @compute @workgroup_size(2) fn twice(@builtin(local_invocation_index) i: u32) { b[i] *= 2h; }`;
    const halves = [{ name: 'b', type: 'float16', data: [1.5, -0.25], output: true }];
    const twice = await compute({ source: half, grid: 1, arguments: halves }).catch((thrown: unknown) => thrown);
    // An adapter need not have it, and lavapipe does.
    if (twice instanceof StepError) assert.match(twice.message, /'f16' is not allowed/);
    else assert.deepEqual((twice as JSONObject).result, [3, -0.5]);
  });

  it('refuses types that are not those of the source', async () => {
    const [a, b] = scale.arguments;
    const cases = [
      [
        [{ ...a, type: 'float64' }, b, { type: 'float32', value: 1 }],
        /\[0\] is of float64, and the kernel takes float32/,
      ],
      [[a, b, { type: 'int32', value: 1 }], /\[2\] is of int32, and the kernel takes float32/],
      [[a, { type: 'float32', value: 1 }, b], /\[1\] must be a buffer/],
      [[a, b, { type: 'float32', local: 4 }], /var<workgroup>/],
    ] as const;
    for (const [args, expected] of cases)
      await assert.rejects(
        compute({ ...scale, arguments: args as never }),
        (thrown) => thrown instanceof StepError && thrown.code === 'INVALID_PARAMS' && expected.test(thrown.message),
      );
  });

  it('keeps writes within the buffers', async () => {
    const wild = { ...scale, source: source.replace('b[id.x] +=', 'b[id.x + 100000u] +=') };
    // They land within, or nowhere: WGSL leaves that open. The process is sound.
    await compute(wild);
    const { result, cached } = await compute(scale);
    assert.deepEqual([result, cached], [values.map((value) => value / 2), true]);
  });

  it('kills a kernel that never ends when its time is over', async () => {
    const endless = source.replace(
      'if (id.x',
      'var go = 1.0; while (go > 0.0) { b[0] += 1.0; go = go + b[1] * 0.0; } if (id.x',
    );
    const late = new StepError('STEP_TIMEOUT', 'too long');
    const stop = new AbortController();
    setTimeout(() => stop.abort(late), 1000);
    await assert.rejects(compute({ ...scale, source: endless }, stop.signal), (thrown) => thrown === late);
    assert.equal(((await compute(scale)).result as number[])[4], 2);
  });

  it('names errors with their lines, and what does not fit', async () => {
    const failsWith = (code: string, text: RegExp) => (thrown: unknown) => {
      assert.ok(thrown instanceof StepError && thrown.code === code, String(thrown));
      return text.test(thrown.message);
    };
    const broken = source.replace('* factor', '* nowhere');
    await assert.rejects(
      compute({ ...scale, source: broken }),
      failsWith('ML_COMPILE_ERROR', /line 7, column \d+: .*nowhere/),
    );
    await assert.rejects(
      compute({ ...scale, arguments: scale.arguments.slice(0, 2) }),
      failsWith('INVALID_PARAMS', /none for @group\(0\) @binding\(2\)/),
    );
    await assert.rejects(compute({ ...scale, block: 64 }), failsWith('INVALID_PARAMS', /workgroup_size/));
    assert.equal(((await compute(scale)).result as number[])[4], 2);
  });
});

describe('models on another device than the processor', { skip }, () => {
  const adapter = createMlAdapter({ egress: createEgress() });
  after(() => adapter.close());
  let varied = 0;
  const { blobs } = contextFor({ id: 'model', type: 'ml_train', params: {} });
  const others = { blobs, varies: () => void varied++ };
  const run = async (type: string, params: JSONObject): Promise<JSONObject> => {
    const step = { id: 'model', type, params };
    return (await adapter.execute(step, contextFor(step, undefined, others))) as JSONObject;
  };
  const points = Array.from({ length: 64 }, (_, index) => [Math.sin(index), Math.cos(3 * index)]);
  const training = {
    data: points.map(([x = 0, y = 0]) => [x, y, x * y > 0 ? 'same' : 'other']),
    layers: [{ type: 'dense', units: 16, activation: 'tanh' }, { type: 'dense' }],
    optimizer: { type: 'adam', learning_rate: 0.05 },
    epochs: 40,
    batch_size: 64,
    seed: 1,
  } satisfies JSONObject;

  it('are trained there, and give there what they give on the processor', async () => {
    const trained = await run('ml_train', { ...training, device: 'webgpu' });
    assert.equal(trained.device, 'webgpu');
    const [first, last] = [(trained.history as JSONObject[])[0], (trained.history as JSONObject[]).at(-1)];
    assert.ok(Number(last?.loss) < 0.5 * Number(first?.loss), `${first?.loss} to ${last?.loss}`);
    const infer = (device: string) => run('ml_infer', { model: trained.model ?? null, input: points, device });
    const [there, here] = [await infer('webgpu'), await infer('cpu')];
    assert.deepEqual([there.device, here.device], ['webgpu', 'cpu']);
    const numbers = [there, here].map(({ result }) => (result as number[][]).flat());
    for (const [at, number] of numbers[0]?.entries() ?? [])
      assert.ok(Math.abs(number - (numbers[1]?.[at] ?? Number.NaN)) < 1e-3, `${number} is near ${numbers[1]?.[at]}`);
    assert.equal(varied, 2, 'the two steps that ran there promise nothing of their outputs');
  });
});
