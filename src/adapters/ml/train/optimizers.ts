import type { Graph, Value } from '../onnx/graph.ts';

export type Optimizer =
  | { readonly kind: 'sgd'; readonly learningRate: number; readonly momentum: number }
  | {
      readonly kind: 'adam';
      readonly learningRate: number;
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
    };

/** Tensors that an optimizer keeps for each parameter, of its shape; all begin with zeros. */
export const slotsOf = (optimizer: Optimizer): readonly string[] =>
  optimizer.kind === 'adam' ? ['mean', 'square'] : optimizer.momentum === 0 ? [] : ['velocity'];

/** Numbers that are fed to the graph anew in every step. @param step from 1 @param factor of the learning rate */
export function feedsOf(optimizer: Optimizer, step: number, factor = 1): Record<string, number> {
  if (optimizer.kind === 'sgd') return { rate: optimizer.learningRate * factor };
  // The graph keeps m / (1 − β₁) and v / (1 − β₂), which spares two products over all parameters; the factors are made up for here.
  const { beta1, beta2, epsilon } = optimizer;
  const learningRate = optimizer.learningRate * factor;
  const first = (1 - beta1) / (1 - beta1 ** step);
  const second = Math.sqrt((1 - beta2) / (1 - beta2 ** step));
  return { rate: (learningRate * first) / second, epsilon: epsilon / second };
}

/**
 * Gradients, scaled down together where the norm of all is above `norm`, so that it is that: Pascanu et al., arXiv:1211.5063. Where squares
 * are beyond 32-bit floats the step is left out.
 */
export function clipped<K>(g: Graph, gradients: ReadonlyMap<K, Value>, norm: number): Map<K, Value> {
  const squares = [...gradients.values()].map((value) => g.sum(g.mul(value, value)));
  const length = g.sqrt(squares.reduce((sum, square) => g.add(sum, square)));
  const most = g.scalar(norm);
  const factor = g.div(most, g.node('Max', [length, most], []));
  return new Map([...gradients].map(([key, value]) => [key, g.mul(value, factor)]));
}

/**
 * One step of a parameter. SGD with momentum as Sutskever et al. (proceedings.mlr.press/v28/sutskever13) have it, the rate outside; Adam as
 * Kingma and Ba, arXiv:1412.6980, algorithm 1.
 * @param feed an input by the names of `feedsOf` @param slots what is kept, in the order of `slotsOf`
 */
export function buildUpdate(
  g: Graph,
  optimizer: Optimizer,
  weight: Value,
  gradient: Value,
  slots: readonly Value[],
  feed: (name: string) => Value,
): { weight: Value; slots: Value[] } {
  const [first, second] = slots;
  if (optimizer.kind === 'adam' && first !== undefined && second !== undefined) {
    const mean = g.add(g.mul(first, g.scalar(optimizer.beta1)), gradient);
    const square = g.add(g.mul(second, g.scalar(optimizer.beta2)), g.mul(gradient, gradient));
    const step = g.div(mean, g.add(g.sqrt(square), feed('epsilon')));
    return { weight: g.sub(weight, g.mul(step, feed('rate'))), slots: [mean, square] };
  }
  if (optimizer.kind === 'sgd' && first !== undefined) {
    const velocity = g.add(g.mul(first, g.scalar(optimizer.momentum)), gradient);
    return { weight: g.sub(weight, g.mul(velocity, feed('rate'))), slots: [velocity] };
  }
  return { weight: g.sub(weight, g.mul(gradient, feed('rate'))), slots: [] };
}
