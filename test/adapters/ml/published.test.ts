// Models that others trained and published run as they do in another runtime.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
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
const music = join(dirname(require.resolve('@spotify/basic-pitch/package.json')), 'model');

const adapter = createMlAdapter({ egress: createEgress(), assets: new AssetFolders([speech, music]) });
after(() => adapter.close());

function infer(params: JSONObject): Promise<JSONObject> {
  const step = { id: 'infer', type: 'ml_infer', params };
  return adapter.execute(step, contextFor(step)) as Promise<JSONObject>;
}

function near(found: unknown, wanted: ArrayLike<number>, what: string, within = 1e-4): void {
  const list = [found].flat(9) as number[];
  assert.equal(list.length, wanted.length, what);
  for (const [at, number] of list.entries())
    assert.ok(Math.abs(number - Number(wanted[at])) <= within, `${what}[${at}]: ${number}, not ${wanted[at]}`);
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

test('Basic Pitch, a TensorFlow.js graph, as TensorFlow.js runs it without WebAssembly', async () => {
  const folder = join(dirname(require.resolve('@spotify/basic-pitch/package.json')), 'model');
  const tf = require('@tensorflow/tfjs') as typeof import('@tensorflow/tfjs');
  tf.enableProdMode();
  await tf.setBackend('cpu');
  const [json, weights] = await Promise.all([
    readFile(join(folder, 'model.json'), 'utf8'),
    readFile(join(folder, 'group1-shard1of1.bin')),
  ]);
  const { modelTopology, weightsManifest, ...others } = JSON.parse(json);
  const model = await tf.loadGraphModel({
    load: async () => ({
      ...others,
      modelTopology,
      weightSpecs: weightsManifest[0].weights,
      weightData: new Uint8Array(weights).buffer,
    }),
  });
  // Two seconds at 22,050 Hz, less a little: an A that becomes an E.
  const samples = Float32Array.from(
    { length: 43_844 },
    (_, at) => 0.5 * Math.sin((2 * Math.PI * (at < 22_000 ? 440 : 659.26) * at) / 22_050),
  );
  const input = tf.tensor(samples, [1, samples.length, 1]);
  const theirs = model.predict(input) as import('@tensorflow/tfjs').Tensor[];
  const { outputs } = await infer({
    model: 'model.json',
    input: { shape: [1, samples.length, 1], dtype: 'float32', base64: Buffer.from(samples.buffer).toString('base64') },
    output_form: 'base64',
  });
  const named = outputs as Record<string, JSONObject>;
  for (const [index, { name }] of model.outputs.entries()) {
    const ours = floatsOf(named[name]);
    // Its layers amplify how the two round.
    near([...ours], (theirs[index]?.dataSync() ?? []) as Float32Array, name, 2e-3);
  }
  // Piano keys from A0 on: A4 is number 48, E5 number 55.
  const notes = floatsOf(named.Identity_1);
  const loudest = (frame: number): number => {
    const keys = notes.subarray(frame * 88, (frame + 1) * 88);
    return keys.indexOf(Math.max(...keys));
  };
  assert.deepEqual([loudest(20), loudest(150)], [48, 55]);
});
