import type { Graph, Value } from '../../onnx/graph.ts';

/** How a parameter begins. */
export type Initial =
  | { readonly kind: 'uniform'; readonly limit: number }
  | { readonly kind: 'normal'; readonly deviation: number }
  | { readonly kind: 'constant'; readonly value: number };

export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: Initial;
  /** Whether gradients change it; running statistics are kept otherwise. */
  readonly trained: boolean;
  /** Whether L2 regularization applies: to weights, not to biases and scales. */
  readonly decays: boolean;
}

/** How a layer is used. */
export type Mode =
  | { readonly kind: 'inference' }
  | {
      readonly kind: 'training';
      /** One over the number of samples in the batch. */
      readonly inverseBatch: Value;
      /** Makes an input `[batch, …shape]` of zeros (dropped) and `1 / (1 - rate)` (kept). */
      mask(rate: number, shape: readonly number[]): Value;
    };

export interface Gradients {
  /** By the layer's input; there only where it was wanted. */
  input?: Value;
  /** By each trained parameter. */
  parameters: Readonly<Record<string, Value>>;
}

/** A layer that was put into a graph. */
export interface Built {
  output: Value;
  /** Puts the gradient into the graph, too. @param gradient of the loss by the output; so is what comes out */
  backward(gradient: Value, wantsInput: boolean): Gradients;
  /** New values of parameters that are not trained. */
  updates?: Readonly<Record<string, Value>>;
}

export interface Layer {
  readonly kind: string;
  /** Of the output, without the batch. */
  readonly shape: readonly number[];
  readonly parameters: readonly Parameter[];
  /** @param values of the parameters, by name */
  build(graph: Graph, input: Value, values: (name: string) => Value, mode: Mode): Built;
}

/** A layer without parameters. @param gradient by the input, from that by the output */
export const plain = (
  kind: string,
  shape: readonly number[],
  build: (graph: Graph, input: Value, mode: Mode) => { output: Value; gradient(output: Value): Value },
): Layer => ({
  kind,
  shape,
  parameters: [],
  build(graph, input, _, mode) {
    const { output, gradient } = build(graph, input, mode);
    return {
      output,
      backward: (by, wantsInput) => ({ parameters: {}, ...(wantsInput ? { input: gradient(by) } : {}) }),
    };
  },
});
