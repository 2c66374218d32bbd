import type { Graph, Value } from '../../onnx/graph.ts';
import { type Layer, plain } from './layer.ts';

export const activations = ['linear', 'relu', 'tanh', 'sigmoid', 'softmax', 'gelu'] as const;
export type Activation = (typeof activations)[number];

/** A function that is applied to every number; softmax to the last axis. */
export const activation = (kind: Activation, shape: readonly number[]): Layer =>
  plain(kind, shape, (graph, x) => builders[kind](graph, x));

type Builder = (graph: Graph, x: Value) => { output: Value; gradient(by: Value): Value };

const builders: Record<Activation, Builder> = {
  linear: (_, x) => ({ output: x, gradient: (by) => by }),
  relu: (g, x) => {
    const y = g.relu(x);
    return { output: y, gradient: (by) => g.where(g.greater(y, g.scalar(0)), by, g.scalar(0)) };
  },
  tanh: (g, x) => {
    const y = g.tanh(x);
    return { output: y, gradient: (by) => g.mul(by, g.sub(g.scalar(1), g.mul(y, y))) };
  },
  sigmoid: (g, x) => {
    const y = g.sigmoid(x);
    return { output: y, gradient: (by) => g.mul(by, g.mul(y, g.sub(g.scalar(1), y))) };
  },
  softmax: (g, x) => {
    const y = g.softmax(x);
    const last = x.shape.length - 1;
    return { output: y, gradient: (by) => g.mul(y, g.sub(by, g.sum(g.mul(by, y), [last], true))) };
  },
  // x Φ(x) with the normal distribution itself, not its approximation by tanh: Hendrycks and Gimpel, arXiv:1606.08415.
  gelu: (g, x) => {
    const below = g.mul(g.scalar(0.5), g.add(g.scalar(1), g.erf(g.mul(x, g.scalar(Math.SQRT1_2)))));
    const density = () => g.mul(g.scalar(1 / Math.sqrt(2 * Math.PI)), g.exp(g.mul(g.scalar(-0.5), g.mul(x, x))));
    return { output: g.mul(x, below), gradient: (by) => g.mul(by, g.add(below, g.mul(x, density()))) };
  },
};
