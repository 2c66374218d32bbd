import type { Graph, Value } from '../onnx/graph.ts';
import type { LossKind } from './net/names.ts';

/** Put into a graph, over a batch `[batch, outputs]`. */
interface BuiltLoss {
  /** Sum over the samples. */
  loss: Value;
  /** Sum over the samples of the metric that goes with the loss. */
  metric: Value;
  /** Of the mean loss by what came in. */
  gradient(inverseBatch: Value): Value;
}

/** The metric that is shown beside each loss. */
export const metricOf: Record<LossKind, 'accuracy' | 'mae'> = {
  cross_entropy: 'accuracy',
  binary_cross_entropy: 'accuracy',
  mse: 'mae',
};

/** The loss that takes the last activation along, which is more exact, and can't overflow: what comes in is the activation's input. */
export const takesActivation = (loss: LossKind): boolean => loss !== 'mse';

const times = (g: Graph, value: Value, weight: Value | undefined): Value =>
  weight === undefined ? value : g.mul(value, weight);

/**
 * @param x outputs of the net, for cross entropies before the last activation @param t labels: probabilities, or numbers
 * @param weight by what a sample's loss is multiplied, `[batch, 1]`; not its metric
 */
type LossBuilder = (g: Graph, x: Value, t: Value, weight?: Value) => BuiltLoss;

export const lossBuilders: Record<LossKind, LossBuilder> = {
  // −Σ t log softmax(x); labels are probabilities that sum up to one.
  cross_entropy: (g, x, t, weight) => ({
    loss: g.mul(g.scalar(-1), g.sum(times(g, g.mul(t, g.logSoftmax(x)), weight))),
    metric: g.sum(g.count(g.equal(g.argMax(x), g.argMax(t)))),
    gradient: (inverseBatch) => times(g, g.mul(g.sub(g.softmax(x), t), inverseBatch), weight),
  }),
  // Mean over outputs of max(x, 0) − x t + log(1 + exp(−|x|)).
  binary_cross_entropy: (g, x, t, weight) => {
    const share = g.scalar(1 / Number(x.shape[1]));
    const tail = g.log(g.add(g.scalar(1), g.exp(g.mul(g.scalar(-1), g.abs(x)))));
    const each = g.add(g.sub(g.relu(x), g.mul(x, t)), tail);
    const hits = g.node('Equal', [g.greater(x, g.scalar(0)), g.greater(t, g.scalar(0.5))], x.shape, {}, 'bool');
    return {
      loss: g.mul(g.sum(times(g, each, weight)), share),
      metric: g.mul(g.sum(g.count(hits)), share),
      gradient: (inverseBatch) => times(g, g.mul(g.sub(g.sigmoid(x), t), g.mul(inverseBatch, share)), weight),
    };
  },
  // Mean over outputs of (x − t)².
  mse: (g, x, t, weight) => {
    const share = 1 / Number(x.shape[1]);
    const error = g.sub(x, t);
    return {
      loss: g.mul(g.sum(times(g, g.mul(error, error), weight)), g.scalar(share)),
      metric: g.mul(g.sum(g.abs(error)), g.scalar(share)),
      gradient: (inverseBatch) => times(g, g.mul(error, g.mul(inverseBatch, g.scalar(2 * share))), weight),
    };
  },
};

/**
 * How much each sample counts, `[batch, 1]`: the mean of the classes' weights by what it is of them.
 * @param weights of the classes: of both, where one output tells two apart
 */
export function sampleWeights(g: Graph, t: Value, weights: Float32Array): Value {
  const [first = 1, second = 1] = weights;
  if (t.shape[1] === 1) return g.add(g.scalar(first), g.mul(t, g.scalar(second - first)));
  return g.sum(g.mul(t, g.constant(weights, [1, weights.length])), [1], true);
}
