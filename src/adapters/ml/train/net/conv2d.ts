import type { Graph, Value, Window } from '../../onnx/graph.ts';
import { biasOf } from './dense.ts';
import type { Initial, Layer } from './layer.ts';

/** Filters that slide over images `[channels, height, width]`. @param shape of the output */
export const conv2d = (
  channels: number,
  shape: readonly [number, number, number],
  window: Window,
  hasBias: boolean,
  initial: Initial,
): Layer => ({
  kind: 'conv2d',
  shape,
  parameters: [
    { name: 'weight', shape: [shape[0], channels, ...window.kernel], initial, trained: true, decays: true },
    ...(hasBias ? [biasOf(shape[0])] : []),
  ],
  build(g, x, values) {
    const weight = values('weight');
    return {
      output: g.conv(x, weight, hasBias ? values('bias') : undefined, window),
      backward: (by, wantsInput) => ({
        parameters: {
          weight: weightGradient(g, x, by, window),
          ...(hasBias ? { bias: g.sum(by, [0, 2, 3]) } : {}),
        },
        ...(wantsInput ? { input: g.convTranspose(by, weight, window, x.shape) } : {}),
      }),
    };
  },
});

/**
 * A convolution as well: the images are what is slid over, with samples as channels, and the gradient is the filter. Strides of the one are
 * dilations of the other. Where the window leaves the images' edge unused, more comes out than the kernel has, and is cut off.
 */
function weightGradient(g: Graph, x: Value, by: Value, { kernel, strides, pads }: Window): Value {
  const [, , height, width] = by.shape;
  const all = g.conv(
    g.transpose(x, [1, 0, 2, 3]),
    g.transpose(by, [1, 0, 2, 3]),
    undefined,
    { kernel: [Number(height), Number(width)], strides: [1, 1], pads },
    [...strides],
  );
  const [, , rows, columns] = all.shape;
  const [rowsWanted, columnsWanted] = kernel;
  const cut =
    rows === rowsWanted && columns === columnsWanted ? all : g.slice(all, { 2: rowsWanted, 3: columnsWanted });
  return g.transpose(cut, [1, 0, 2, 3]);
}
