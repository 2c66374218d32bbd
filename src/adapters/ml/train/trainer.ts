// Runs in a process of its own: the loop over epochs and batches around a generated graph.
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { StepError } from '../../../lib/errors.ts';
import { elementsOf } from '../onnx/graph.ts';
import { stateIntervalMs } from '../state-interval.ts';
import { Batches } from './batches.ts';
import { type Evaluator, evaluatorOf, type Measure, numberOf, type Runtime } from './evaluator.ts';
import { buildTraining, parametersOf, type TrainingGraph } from './graphs.ts';
import type { EpochMetrics, Samples, TrainAnswer, TrainEvent, TrainJob, TrainState } from './job.ts';
import { stateBytesMax } from './limits.ts';
import type { Initial } from './net/layer.ts';
import { type Net, parseNet } from './net/parse.ts';
import { feedsOf } from './optimizers.ts';
import { Random } from './random.ts';
import { balancedWeights, splitSamples, standardScaling } from './samples.ts';
import { rateFactor } from './schedule.ts';

/** So that small epochs are not held up by their states. */
const stateIntervalMinMs = 250;

/** Trains a net. Equal jobs on equal machines give equal bits, also where they were interrupted and go on from a state. */
export async function train(job: TrainJob, runtime: Runtime, emit: (event: TrainEvent) => void): Promise<TrainAnswer> {
  const net = parseNet(job.net);
  const [samples, validation] = splitSamples(job.samples, job.validation, net, job.seed);
  const scaling = job.scaling === 'standard' ? standardScaling(samples, net) : job.scaling;
  const classWeights = job.classWeights === 'balanced' ? balancedWeights(samples, net) : job.classWeights;
  const graph = buildTraining(net, scaling, { ...job, classWeights });
  const run = new TrainingRun(job, net, graph, runtime, await runtime.create(graph.model, job.threads));
  let validator: Evaluator | undefined;
  try {
    validator = validation && (await evaluatorOf(net, scaling, validation, runtime, job.threads));
    const stoppedEarly = await run.epochs(samples, validator?.measure, emit);
    return {
      ...run.result(),
      scaling,
      stoppedEarly,
      samples: samples.count,
      validationSamples: validation?.count ?? 0,
    };
  } finally {
    await run.release();
    await validator?.release();
  }
}

class TrainingRun {
  readonly #job: TrainJob;
  readonly #net: Net;
  readonly #graph: TrainingGraph;
  readonly #runtime: Runtime;
  readonly #session: InferenceSession;
  #states = new Map<string, Tensor>();
  #step: number;
  #epoch: number;
  #history: EpochMetrics[];
  #best: TrainState['best'];
  readonly #beganAt = Date.now();
  #stateAt = 0;
  #hasToldSize = false;

  constructor(job: TrainJob, net: Net, graph: TrainingGraph, runtime: Runtime, session: InferenceSession) {
    this.#job = job;
    this.#net = net;
    this.#graph = graph;
    this.#runtime = runtime;
    this.#session = session;
    const { resume } = job;
    this.#step = resume?.step ?? 0;
    this.#epoch = resume?.epoch ?? 0;
    this.#history = [...(resume?.history ?? [])];
    this.#best = resume?.best;
    this.#begin(resume);
  }

  /** @returns whether it ended because nothing became better */
  async epochs(samples: Samples, measure: Measure | undefined, emit: (event: TrainEvent) => void): Promise<boolean> {
    const { epochs, batchSize, patience } = this.#job;
    const batches = new Batches(samples, this.#net, batchSize, this.#runtime);
    while (this.#epoch < epochs) {
      if (patience !== undefined && this.#best !== undefined && this.#epoch - this.#best.epoch >= patience) return true;
      this.#epoch += 1;
      const metrics = await this.#trainEpoch(batches, samples.count);
      if (measure !== undefined) {
        const { loss, metric } = await measure((name) => this.#weight(name));
        this.#checkFinite(loss);
        metrics.val_loss = loss;
        metrics.val_metric = metric;
      }
      this.#history.push(metrics);
      this.#compare(metrics);
      emit({ kind: 'epoch', metrics, epochs });
      if (this.#epoch < epochs) this.#offerState(emit);
    }
    return false;
  }

  #offerState(emit: (event: TrainEvent) => void): void {
    if (!this.#job.keepsStates) return;
    const now = Date.now();
    if (now - this.#stateAt < stateIntervalMs(stateIntervalMinMs, now - this.#beganAt)) return;
    this.#stateAt = now;
    const sizeOf = (tensors: readonly { shape: readonly number[] }[]): number =>
      tensors.reduce((sum, { shape }) => sum + 4 * elementsOf(shape), 0);
    const bytes = sizeOf(this.#graph.states) + (this.#best === undefined ? 0 : sizeOf(parametersOf(this.#net)));
    if (bytes <= stateBytesMax) return emit({ kind: 'state', state: this.#state() });
    if (!this.#hasToldSize) emit({ kind: 'too_large', bytes });
    this.#hasToldSize = true;
  }

  result(): { parameters: Record<string, Float32Array>; history: EpochMetrics[]; epoch: number } {
    const best = this.#job.patience === undefined ? undefined : this.#best;
    if (best !== undefined) this.#readWeights(best.weights);
    const parameters = Object.fromEntries(
      parametersOf(this.#net).map(({ id }) => [id, this.#weight(id) ?? new Float32Array()]),
    );
    // The last step's are behind no loss yet.
    for (const data of Object.values(parameters))
      this.#checkFinite(
        data.find((value) => !Number.isFinite(value)),
        'a weight',
      );
    return { parameters, history: this.#history, epoch: best?.epoch ?? this.#epoch };
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  async #trainEpoch(batches: Batches, count: number): Promise<EpochMetrics> {
    const { seed, optimizer, schedule, shuffles, epochs, batchSize } = this.#job;
    const stepsPerEpoch = Math.ceil(count / batchSize);
    // Each epoch has generators of its own: nothing of them need be kept to go on.
    const noise = new Random(`${seed}/dropout/${this.#epoch}`);
    let [loss, metric] = [0, 0];
    for (const batch of batches.shuffled(shuffles ? new Random(`${seed}/shuffle/${this.#epoch}`) : undefined)) {
      this.#step += 1;
      const feeds: Record<string, Tensor> = { x: batch.x, t: batch.t, inverse_batch: this.#number(1 / batch.count) };
      const factor = schedule === undefined ? 1 : rateFactor(schedule, this.#step, stepsPerEpoch, epochs);
      for (const [name, value] of Object.entries(feedsOf(optimizer, this.#step, factor)))
        feeds[name] = this.#number(value);
      for (const mask of this.#graph.masks)
        feeds[mask.name] = this.#runtime.tensor(maskOf(noise, batch.count * mask.size, mask.rate), [
          batch.count,
          ...mask.shape,
        ]);
      for (const [name, tensor] of this.#states) feeds[name] = tensor;
      const out = await this.#session.run(feeds);
      for (const { name } of this.#graph.states) {
        const next = out[`next.${name}`];
        if (next !== undefined) this.#states.set(name, next);
      }
      const sum = numberOf(out.loss);
      this.#checkFinite(sum);
      loss += sum;
      metric += numberOf(out.metric);
    }
    return { epoch: this.#epoch, loss: loss / count, metric: metric / count };
  }

  #checkFinite(value: number | undefined, what = 'the loss'): void {
    if (value === undefined || Number.isFinite(value)) return;
    const { learningRate } = this.#job.optimizer;
    const scale = this.#job.scaling === undefined ? ', and set "normalize": "standard" or smaller features' : '';
    throw new StepError(
      'ML_DIVERGED',
      `${what} became ${value} in epoch ${this.#epoch}, step ${this.#step}: lower the learning rate, which is ${learningRate}${scale}`,
    );
  }

  #compare(metrics: EpochMetrics): void {
    const { patience, deltaMin } = this.#job;
    const loss = metrics.val_loss ?? metrics.loss;
    if (patience === undefined || (this.#best !== undefined && loss >= this.#best.loss - deltaMin)) return;
    const weights = bytesOf(parametersOf(this.#net).map(({ id }) => this.#weight(id)));
    this.#best = { epoch: this.#epoch, loss, weights };
  }

  #state(): TrainState {
    const states = bytesOf(this.#graph.states.map(({ name }) => this.#weight(name)));
    return { epoch: this.#epoch, step: this.#step, history: this.#history, best: this.#best, states };
  }

  #begin(resume: TrainState | undefined): void {
    const parameters = new Map(parametersOf(this.#net).map((parameter) => [parameter.id, parameter]));
    const saved = resume === undefined ? undefined : floatsOf(resume.states);
    let at = 0;
    for (const { name, shape } of this.#graph.states) {
      const size = elementsOf(shape);
      const parameter = parameters.get(name);
      const data =
        saved?.slice(at, at + size) ??
        this.#job.initial?.[name]?.slice() ??
        initialOf(parameter?.initial ?? { kind: 'constant', value: 0 }, size, `${this.#job.seed}/initial/${name}`);
      at += size;
      this.#states.set(name, this.#runtime.tensor(data, shape));
    }
  }

  #readWeights(bytes: Uint8Array): void {
    const all = floatsOf(bytes);
    let at = 0;
    for (const { id, shape } of parametersOf(this.#net)) {
      const size = elementsOf(shape);
      this.#states.set(id, this.#runtime.tensor(all.slice(at, at + size), shape));
      at += size;
    }
  }

  #weight(name: string): Float32Array | undefined {
    return this.#states.get(name)?.data as Float32Array | undefined;
  }

  #number(value: number): Tensor {
    return this.#runtime.tensor(Float32Array.of(value), []);
  }
}

/** Zeros for what is dropped; what is kept is scaled up. */
function maskOf(random: Random, size: number, rate: number): Float32Array {
  const mask = new Float32Array(size);
  const [threshold, kept] = [rate * 2 ** 32, 1 / (1 - rate)];
  for (let at = 0; at < size; at++) if (random.bits() >= threshold) mask[at] = kept;
  return mask;
}

function initialOf(initial: Initial, size: number, seed: string): Float32Array {
  const random = new Random(seed);
  const data = new Float32Array(size);
  for (let at = 0; at < size; at++)
    data[at] =
      initial.kind === 'constant'
        ? initial.value
        : initial.kind === 'normal'
          ? random.normal() * initial.deviation
          : (2 * random.uniform() - 1) * initial.limit;
  return data;
}

/** Tensors as the bytes of one after the other. */
function bytesOf(tensors: readonly (Float32Array | undefined)[]): Uint8Array {
  return Buffer.concat(
    tensors.map((data) => new Uint8Array(data?.buffer ?? new ArrayBuffer(), data?.byteOffset, data?.byteLength)),
  );
}

const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(new Uint8Array(bytes).buffer);
