import { elementsOf, type Graph, type Value, type Window } from '../../onnx/graph.ts';
import { type Layer, plain } from './layer.ts';

/** The greatest of each window. */
export const maxPool2d = (shape: readonly number[], window: Window): Layer =>
  plain('max_pool2d', shape, (g, x, mode) => {
    if (mode.kind === 'inference') return { output: g.maxPool(x, window, false)[0], gradient: (by) => by };
    const [output, places] = g.maxPool(x, window, true);
    return { output, gradient: (by) => scatter(g, by, places, x, overlaps(window)) };
  });

const overlaps = ({ kernel, strides }: Window): boolean => kernel.some((length, axis) => length > (strides[axis] ?? 1));

/** Puts each gradient where the greatest was; where windows overlap, one place may have been the greatest of several. */
function scatter(g: Graph, by: Value, places: Value, x: Value, adds: boolean): Value {
  const size = g.node('Shape', [x], [x.shape.length], {}, 'int64');
  const zeros = g.node('ConstantOfShape', [size], x.shape);
  const flat = (value: Value) => g.reshape(value, ['elements']);
  const [target, indices, updates] = [flat(zeros), flat(places), flat(by)];
  const spread = g.node('ScatterElements', [target, indices, updates], target.shape, {
    axis: 0,
    reduction: adds ? 'add' : 'none',
  });
  return g.reshape(spread, x.shape);
}

/** The mean of each window; what lies outside the image does not count. */
export const averagePool2d = (shape: readonly number[], window: Window): Layer =>
  plain('avg_pool2d', shape, (g, x) => ({
    output: g.averagePool(x, window),
    gradient(by) {
      const channels = Number(x.shape[1]);
      const ones = g.constant(new Float32Array(channels * window.kernel[0] * window.kernel[1]).fill(1), [
        channels,
        1,
        ...window.kernel,
      ]);
      const shares = g.mul(by, g.constant(inverseCounts(x, by, window), [1, 1, ...by.shape.slice(2)]));
      return g.convTranspose(shares, ones, window, x.shape, channels);
    },
  }));

/** One over the number of the image's elements in each window. */
function inverseCounts(x: Value, by: Value, { kernel, strides, pads }: Window): Float32Array {
  const counts = (axis: 0 | 1): number[] => {
    const [from, length] = [pads[axis], Number(x.shape[axis + 2])];
    return Array.from({ length: Number(by.shape[axis + 2]) }, (_, index) => {
      const start = index * strides[axis] - from;
      return Math.min(start + kernel[axis], length) - Math.max(start, 0);
    });
  };
  const columns = counts(1);
  return Float32Array.from(counts(0).flatMap((rows) => columns.map((count) => 1 / (rows * count))));
}

/** The mean of each channel. @param shape of the images */
export const globalAveragePool2d = (shape: readonly number[]): Layer =>
  plain('global_avg_pool2d', shape.slice(0, 1), (g, x) => {
    const area = elementsOf(shape.slice(1));
    return {
      output: g.mul(g.sum(x, [2, 3]), g.scalar(1 / area)),
      gradient(by) {
        const share = g.reshape(g.mul(by, g.scalar(1 / area)), [x.shape[0] ?? 1, x.shape[1] ?? 1, 1, 1]);
        return g.mul(share, g.constant(new Float32Array(area).fill(1), [1, 1, ...shape.slice(1)]));
      },
    };
  });
