import { elementsOf } from '../../onnx/graph.ts';
import { type Layer, plain } from './layer.ts';

/** Numbers in another shape, of as many. @param from without the batch, as `to` */
export const reshape = (kind: 'flatten' | 'reshape', from: readonly number[], to: readonly number[]): Layer =>
  plain(kind, to, (g, x) => ({
    output: g.reshape(x, ['batch', ...to]),
    gradient: (by) => g.reshape(by, ['batch', ...from]),
  }));

export const flatten = (from: readonly number[]): Layer => reshape('flatten', from, [elementsOf(from)]);

/** While training, drops numbers at random and scales up what is kept, so that nothing need be done afterwards. */
export const dropout = (shape: readonly number[], rate: number): Layer =>
  plain('dropout', shape, (g, x, mode) => {
    if (mode.kind === 'inference') return { output: x, gradient: (by) => by };
    const mask = mode.mask(rate, shape);
    return { output: g.mul(x, mask), gradient: (by) => g.mul(by, mask) };
  });
