import type { Scaling } from './graphs.ts';
import type { NetSpec } from './net/parse.ts';
import type { Optimizer } from './optimizers.ts';
import type { Schedule } from './schedule.ts';

/** Samples one after the other. */
export interface Samples {
  count: number;
  /** Features, as many a sample as the net's input has. */
  x: Float32Array;
  /** The number of each sample's class, or as many numbers a sample as the net has outputs. */
  t: Int32Array | Float32Array;
}

/** What a process that trains gets: all of it by structured clone. */
export interface TrainJob {
  net: NetSpec;
  optimizer: Optimizer;
  schedule: Schedule | undefined;
  l2: number;
  /** What the gradient's norm is at most; undefined: anything. */
  clipNorm: number | undefined;
  /** Of each output, how much its samples count; `balanced`: all classes the same. */
  classWeights: Float32Array | 'balanced' | undefined;
  epochs: number;
  batchSize: number;
  shuffles: boolean;
  seed: string;
  samples: Samples;
  /** Samples of their own, or what share of `samples` is kept out of the training. */
  validation: Samples | number;
  /** `standard`: mean 0 and deviation 1 over the samples that are trained with. */
  scaling: Scaling | 'standard' | undefined;
  /** Epochs without a better loss after which the training ends. */
  patience: number | undefined;
  deltaMin: number;
  /** Parameters to begin with, by name. */
  initial: Record<string, Float32Array> | undefined;
  resume: TrainState | undefined;
  /** Whether states are of use to anyone. */
  keepsStates: boolean;
  threads: number;
}

export interface EvaluateJob {
  net: NetSpec;
  samples: Samples;
  scaling: Scaling | undefined;
  parameters: Record<string, Float32Array>;
  threads: number;
}

export interface EpochMetrics {
  epoch: number;
  loss: number;
  metric: number;
  val_loss?: number;
  val_metric?: number;
}

/** What a training goes on from, after an epoch. */
export interface TrainState {
  epoch: number;
  step: number;
  history: EpochMetrics[];
  best: { epoch: number; loss: number; weights: Uint8Array } | undefined;
  /** All states of the graph, in their order. */
  states: Uint8Array;
}

export type TrainEvent =
  | { kind: 'epoch'; metrics: EpochMetrics; epochs: number }
  | { kind: 'state'; state: TrainState }
  /** The state has too many bytes to be kept. */
  | { kind: 'too_large'; bytes: number };

export interface TrainAnswer {
  parameters: Record<string, Float32Array>;
  scaling: Scaling | undefined;
  history: EpochMetrics[];
  /** The epoch that the parameters are of. */
  epoch: number;
  stoppedEarly: boolean;
  samples: number;
  validationSamples: number;
}

export interface EvaluateAnswer {
  loss: number;
  metric: number;
}
