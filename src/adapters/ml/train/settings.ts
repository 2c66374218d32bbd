import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Scaling } from './graphs.ts';
import { batchSizeDefault, epochsDefault, threadsMax } from './limits.ts';
import type { LossKind } from './net/names.ts';
import type { Optimizer } from './optimizers.ts';
import type { Schedule } from './schedule.ts';

/** What params say about the training itself, with defaults. */
export interface Settings {
  loss: LossKind | undefined;
  optimizer: Optimizer;
  schedule: Schedule | undefined;
  l2: number;
  clipNorm: number | undefined;
  epochs: number;
  batchSize: number;
  shuffles: boolean;
  seed: string;
  patience: number | undefined;
  deltaMin: number;
  threads: number;
}

const numberOr = (value: JSONValue | undefined, usual: number): number => (typeof value === 'number' ? value : usual);

/** Params have been checked by their schema. */
export function settingsOf(
  params: JSONObject,
  { seed, resources }: Pick<AdapterContext, 'seed' | 'resources'>,
): Settings {
  const stopping = isObject(params.early_stopping) ? (params.early_stopping as JSONObject) : undefined;
  return {
    loss: params.loss as LossKind | undefined,
    optimizer: optimizerOf(params.optimizer),
    schedule: scheduleOf(params),
    l2: numberOr(params.l2, 0),
    clipNorm: typeof params.clip_norm === 'number' ? params.clip_norm : undefined,
    epochs: numberOr(params.epochs, epochsDefault),
    batchSize: numberOr(params.batch_size, batchSizeDefault),
    shuffles: params.shuffle !== false,
    seed: params.seed === undefined ? seed : String(params.seed),
    patience: stopping === undefined ? undefined : numberOr(stopping.patience, 5),
    deltaMin: numberOr(stopping?.min_delta, 0),
    // Bits may depend on it: it follows from the step, not from the machine.
    threads: Math.min(threadsMax, Math.max(1, Math.floor(numberOr(params.threads, resources.cpu_cores ?? 1)))),
  };
}

function scheduleOf({ schedule, epochs }: JSONObject): Schedule | undefined {
  if (!isObject(schedule)) return undefined;
  const { type = 'constant', every, factor, end, warmup_epochs: warmup } = schedule as JSONObject;
  const kind = type as Schedule['kind'];
  const own: Record<Schedule['kind'], readonly string[]> = { constant: [], step: ['every', 'factor'], cosine: ['end'] };
  const other = ['every', 'factor', 'end'].find((name) => schedule[name] !== undefined && !own[kind].includes(name));
  if (other !== undefined) throw new StepError('INVALID_PARAMS', `params.schedule.${other} is no setting of ${kind}`);
  const warmupEpochs = numberOr(warmup, 0);
  if (warmupEpochs > numberOr(epochs, epochsDefault))
    throw new StepError(
      'INVALID_PARAMS',
      `params.schedule.warmup_epochs is ${warmupEpochs}, more than there are epochs`,
    );
  return {
    ...{ kind, every: numberOr(every, 10), factor: numberOr(factor, 0.1) },
    ...{ end: numberOr(end, 0), warmupEpochs },
  };
}

function optimizerOf(value: JSONValue | undefined): Optimizer {
  const given = isObject(value) ? (value as JSONObject) : { type: value ?? 'adam' };
  const { type, learning_rate: rate, momentum, beta1, beta2, epsilon } = given;
  if (type === 'sgd') {
    refuseOthers(given, ['beta1', 'beta2', 'epsilon'], 'sgd');
    return { kind: 'sgd', learningRate: numberOr(rate, 0.01), momentum: numberOr(momentum, 0) };
  }
  refuseOthers(given, ['momentum'], 'adam');
  return {
    kind: 'adam',
    learningRate: numberOr(rate, 0.001),
    beta1: numberOr(beta1, 0.9),
    beta2: numberOr(beta2, 0.999),
    epsilon: numberOr(epsilon, 1e-7),
  };
}

function refuseOthers(given: JSONObject, names: readonly string[], type: string): void {
  const other = names.find((name) => given[name] !== undefined);
  if (other !== undefined) throw new StepError('INVALID_PARAMS', `params.optimizer.${other} is no setting of ${type}`);
}

/** @param features of the net's input: how many, or how many channels @throws StepError INVALID_PARAMS */
export function scalingOf(value: JSONValue | undefined, features: number): Scaling | 'standard' | undefined {
  if (value === undefined || value === 'none') return undefined;
  if (value === 'standard') return 'standard';
  const { mean = 0, std = 1 } = value as JSONObject;
  const list = (given: JSONValue, name: 'mean' | 'std'): Float32Array => {
    const numbers = Array.isArray(given) ? given.map(Number) : new Array<number>(features).fill(Number(given));
    if (numbers.length !== features)
      throw new StepError('INVALID_PARAMS', `params.normalize.${name} has ${numbers.length} numbers, not ${features}`);
    const floats = Float32Array.from(numbers);
    const odd = floats.findIndex((number) => !Number.isFinite(number) || (name === 'std' && number <= 0));
    if (odd >= 0)
      throw new StepError(
        'INVALID_PARAMS',
        `params.normalize.${name} has ${numbers[odd]}, and ${name === 'std' ? 'features are divided by it: it must be above 0' : 'must be a 32-bit float'}`,
      );
    return floats;
  };
  return { mean: list(mean, 'mean'), deviation: list(std, 'std') };
}
