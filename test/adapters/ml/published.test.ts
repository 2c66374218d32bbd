// Models that others trained and published run as they do in another runtime.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { createMlAdapter } from '../../../src/adapters/ml/adapter.ts';
import { AssetFolders } from '../../../src/compose/asset-folders.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { contextFor } from '../../compliance/adapter.ts';

const require = createRequire(import.meta.url);
const speech = dirname(require.resolve('@ricky0123/vad-web'));

const adapter = createMlAdapter({ egress: createEgress(), assets: new AssetFolders([speech]) });
after(() => adapter.close());

function infer(params: JSONObject): Promise<JSONObject> {
  const step = { id: 'infer', type: 'ml_infer', params };
  return adapter.execute(step, contextFor(step)) as Promise<JSONObject>;
}

function near(found: unknown, wanted: ArrayLike<number>, what: string): void {
  const list = [found].flat(9) as number[];
  assert.equal(list.length, wanted.length, what);
  for (const [at, number] of list.entries())
    assert.ok(Math.abs(number - Number(wanted[at])) <= 1e-4, `${what}[${at}]: ${number}, not ${wanted[at]}`);
}

/** Samples at 16 kHz that are something between a voice and noise. */
const sound = (frame: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: 512 }, (_, at) => {
    const time = (frame * 512 + at) / 16_000;
    const voice = Math.sin(2 * Math.PI * 140 * time) + 0.5 * Math.sin(2 * Math.PI * 720 * time);
    return 0.3 * voice * Math.sin(2 * Math.PI * 3 * time) + 0.02 * Math.sin(at * at);
  });

test('Silero VAD, as ONNX Runtime for the web runs it, over frames with a state', async () => {
  const { InferenceSession, Tensor } = (await import('onnxruntime-web')) as typeof import('onnxruntime-web');
  const session = await InferenceSession.create(join(speech, 'silero_vad_v5.onnx'));
  const rate = new Tensor('int64', BigInt64Array.of(16_000n), []);
  let theirs = new Tensor('float32', new Float32Array(256), [2, 1, 128]);
  let ours: JSONObject = { shape: [2, 1, 128], dtype: 'float32', data: new Array(256).fill(0) };
  for (let frame = 0; frame < 6; frame += 1) {
    const input = sound(frame);
    const wanted = await session.run({ input: new Tensor('float32', input, [1, 512]), state: theirs, sr: rate });
    const base64 = Buffer.from(input.buffer).toString('base64');
    const { outputs } = await infer({
      model: 'silero_vad_v5.onnx',
      input: { input: { shape: [1, 512], dtype: 'float32', base64 }, state: ours, sr: 16_000 },
      output_form: 'base64',
    });
    const { output, stateN } = outputs as Record<string, JSONObject>;
    near([...floatsOf(output)], (wanted.output?.data ?? []) as Float32Array, `speech in frame ${frame}`);
    near([...floatsOf(stateN)], (wanted.stateN?.data ?? []) as Float32Array, `state after frame ${frame}`);
    theirs = wanted.stateN as typeof theirs;
    ours = stateN ?? {};
  }
});

function floatsOf({ data }: JSONObject = {}): Float32Array {
  const { base64 } = data as { base64: string };
  return new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);
}

test('its earlier version, with two states by their names', async () => {
  const { InferenceSession, Tensor } = (await import('onnxruntime-web')) as typeof import('onnxruntime-web');
  const session = await InferenceSession.create(join(speech, 'silero_vad_legacy.onnx'));
  const input = Float32Array.from({ length: 1536 }, (_, at) => sound(Math.floor(at / 512))[at % 512] ?? 0);
  const state = new Tensor('float32', new Float32Array(128).fill(0.1), [2, 1, 64]);
  const rate = new Tensor('int64', BigInt64Array.of(16_000n), []);
  const wanted = await session.run({ input: new Tensor('float32', input, [1, 1536]), sr: rate, h: state, c: state });
  const start = { shape: [2, 1, 64], dtype: 'float32', data: new Array<number>(128).fill(0.1) };
  const { result, outputs } = await infer({
    model: 'silero_vad_legacy.onnx',
    input: { input: [[...input]], sr: 16_000, h: start, c: start },
  });
  near(result, (wanted.output?.data ?? []) as Float32Array, 'speech');
  for (const name of ['hn', 'cn'])
    near((outputs as JSONObject)[name], (wanted[name]?.data ?? []) as Float32Array, name);
});
