import type { Graph, Value } from '../onnx/graph.ts';
import type { LossKind } from './net/names.ts';

/** Put into a graph, over a batch `[batch, outputs]`. */
export interface BuiltLoss {
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

/** @param x outputs of the net, for cross entropies before the last activation @param t labels: probabilities, or numbers */
export const lossBuilders: Record<LossKind, (g: Graph, x: Value, t: Value) => BuiltLoss> = {
  // −Σ t log softmax(x); labels are probabilities that sum up to one.
  cross_entropy: (g, x, t) => ({
    loss: g.mul(g.scalar(-1), g.sum(g.mul(t, g.logSoftmax(x)))),
    metric: g.sum(g.count(g.equal(g.argMax(x), g.argMax(t)))),
    gradient: (inverseBatch) => g.mul(g.sub(g.softmax(x), t), inverseBatch),
  }),
  // Mean over outputs of max(x, 0) − x t + log(1 + exp(−|x|)).
  binary_cross_entropy: (g, x, t) => {
    const share = g.scalar(1 / Number(x.shape[1]));
    const tail = g.log(g.add(g.scalar(1), g.exp(g.mul(g.scalar(-1), g.abs(x)))));
    const each = g.add(g.sub(g.relu(x), g.mul(x, t)), tail);
    const hits = g.node('Equal', [g.greater(x, g.scalar(0)), g.greater(t, g.scalar(0.5))], x.shape, {}, 'bool');
    return {
      loss: g.mul(g.sum(each), share),
      metric: g.mul(g.sum(g.count(hits)), share),
      gradient: (inverseBatch) => g.mul(g.sub(g.sigmoid(x), t), g.mul(inverseBatch, share)),
    };
  },
  // Mean over outputs of (x − t)².
  mse: (g, x, t) => {
    const share = 1 / Number(x.shape[1]);
    const error = g.sub(x, t);
    return {
      loss: g.mul(g.sum(g.mul(error, error)), g.scalar(share)),
      metric: g.mul(g.sum(g.abs(error)), g.scalar(share)),
      gradient: (inverseBatch) => g.mul(error, g.mul(inverseBatch, g.scalar(2 * share))),
    };
  },
};
