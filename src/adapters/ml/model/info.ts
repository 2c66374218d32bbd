import type { DType } from '../tensor/dtype.ts';

/** Length of an axis: a number, a name that stands for one length wherever it is met, or -1 for any. */
export type Axis = number | string;

export interface TensorInfo {
  name: string;
  dtype: DType;
  /** Undefined where the model doesn't say. */
  shape: readonly Axis[] | undefined;
}

/** What a model takes and gives, in the model's order. */
export interface ModelInfo {
  inputs: TensorInfo[];
  outputs: TensorInfo[];
  /** Names of outputs that are no tensors. */
  unreadable?: string[];
}

export const shapeText = (shape: readonly Axis[] | undefined): string =>
  shape === undefined ? 'any shape' : `[${shape.map((axis) => (axis === -1 || axis === '' ? '?' : axis)).join(', ')}]`;
