// What the processes that hold models are asked, and answer.
import type { Tensor } from '../tensor/tensor.ts';
import type { ModelInfo } from './info.ts';

export interface ModelRequest {
  /** What the model is known by. */
  key: string;
  /** The model itself; left out where the process is likely to have it. */
  payload?: ModelPayload;
  /** Where the model's operators run: `cpu`, or a GPU by `cuda` or `webgpu`. */
  device: string;
  /** Models that the process keeps, in bytes, roughly: the least recently used go. */
  cacheBytesMax: number;
}

export interface RunRequest extends ModelRequest {
  inputs: Record<string, Tensor>;
  /** Names; all where it is empty. */
  outputs: string[];
}

/** Bytes of an ONNX file, or the parts of a TensorFlow.js graph model. */
export type ModelPayload = Uint8Array | TfjsParts;

export interface TfjsParts {
  /** `model.json`, as it is. */
  json: Uint8Array;
  /** Its weights, one after the other in the order of its manifest. */
  weights: Uint8Array;
}

/** `missing`: the process does not have the model; ask again with its payload. */
export type ModelAnswer<T> = { missing: true } | ({ missing?: never } & T);
export type InfoAnswer = ModelAnswer<{ info: ModelInfo }>;
export type RunAnswer = ModelAnswer<{ outputs: Record<string, Tensor> }>;
