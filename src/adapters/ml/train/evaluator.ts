// Runs in a process of its own: how good a net is.
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { Batches } from './batches.ts';
import { buildEvaluation, parametersOf, type Scaling } from './graphs.ts';
import type { EvaluateAnswer, EvaluateJob, Samples } from './job.ts';
import { type Net, parseNet } from './net/parse.ts';

/** A session of ONNX Runtime, and its class of tensors. */
export interface Runtime {
  create(model: Uint8Array, threads: number): Promise<InferenceSession>;
  tensor(data: Float32Array, shape: readonly number[]): Tensor;
}

const batchSize = 256;

/** Loss and metric of a net, over samples. */
export async function evaluate(job: EvaluateJob, runtime: Runtime): Promise<EvaluateAnswer> {
  const net = parseNet(job.net);
  const { measure, release } = await evaluatorOf(net, job.scaling, job.samples, runtime, job.threads);
  try {
    return await measure((name) => job.parameters[name]);
  } finally {
    await release();
  }
}

/** @param weightOf parameters by name */
export type Measure = (weightOf: (name: string) => Float32Array | undefined) => Promise<EvaluateAnswer>;

export interface Evaluator {
  measure: Measure;
  release(): Promise<void>;
}

/** Measures nets of one kind over the same samples, with any weights. */
export async function evaluatorOf(
  net: Net,
  scaling: Scaling | undefined,
  samples: Samples,
  runtime: Runtime,
  threads: number,
): Promise<Evaluator> {
  const session = await runtime.create(buildEvaluation(net, scaling), threads);
  const batches = new Batches(samples, net, batchSize, runtime);
  const measure: Measure = async (weightOf) => {
    const feeds: Record<string, Tensor> = {};
    for (const { id, shape } of parametersOf(net))
      feeds[id] = runtime.tensor(weightOf(id) ?? new Float32Array(), shape);
    let [loss, metric] = [0, 0];
    for (const batch of batches.inOrder()) {
      const out = await session.run({ ...feeds, x: batch.x, t: batch.t });
      loss += numberOf(out.loss);
      metric += numberOf(out.metric);
    }
    return { loss: loss / samples.count, metric: metric / samples.count };
  };
  return { measure, release: () => session.release() };
}

/** The number that an output is. */
export const numberOf = (tensor: { data: unknown } | undefined): number =>
  Number((tensor?.data as Float32Array | undefined)?.[0]);
