import { elementsOf } from '../../onnx/graph.ts';
import type { Initial, Layer, Parameter } from './layer.ts';

const constant = (value: number): Initial => ({ kind: 'constant', value });

/**
 * Each feature, or channel of images, with the batch's mean 0 and variance 1, then scaled and shifted as is learnt; with running means and
 * variances (biased, as they are used) after the training. Ioffe and Szegedy, arXiv:1502.03167.
 * @param momentum share of the running statistics that a batch leaves
 */
export const batchNorm = (shape: readonly number[], momentum: number, epsilon: number): Layer => {
  const [features = 1, ...area] = shape;
  const axes = [0, ...area.map((_, index) => index + 2)];
  const parameter = (name: string, value: number, trained: boolean): Parameter => ({
    ...{ name, shape: [features], initial: constant(value), trained, decays: false },
  });
  return {
    kind: 'batch_norm',
    shape,
    parameters: [
      parameter('scale', 1, true),
      parameter('shift', 0, true),
      parameter('mean', 0, false),
      parameter('variance', 1, false),
    ],
    build(g, x, values, mode) {
      if (mode.kind === 'inference') {
        const inputs = [x, ...['scale', 'shift', 'mean', 'variance'].map(values)];
        const output = g.node('BatchNormalization', inputs, x.shape, { epsilon: { float: epsilon } });
        return { output, backward: () => ({ parameters: {} }) };
      }
      const wide = [1, features, ...area.map(() => 1)];
      const share = g.mul(mode.inverseBatch, g.scalar(1 / elementsOf(area)));
      const meanOf = (value: typeof x) => g.mul(g.sum(value, axes, true), share);
      const mean = meanOf(x);
      const centred = g.sub(x, mean);
      const variance = meanOf(g.mul(centred, centred));
      const inverse = g.div(g.scalar(1), g.sqrt(g.add(variance, g.scalar(epsilon))));
      const normal = g.mul(centred, inverse);
      const scale = g.reshape(values('scale'), wide);
      const running = (name: string, now: typeof x) =>
        g.add(g.mul(values(name), g.scalar(momentum)), g.mul(g.reshape(now, [features]), g.scalar(1 - momentum)));
      return {
        output: g.add(g.mul(normal, scale), g.reshape(values('shift'), wide)),
        updates: { mean: running('mean', mean), variance: running('variance', variance) },
        backward(by, wantsInput) {
          const parameters = { scale: g.sum(g.mul(by, normal), axes), shift: g.sum(by, axes) };
          if (!wantsInput) return { parameters };
          const scaled = g.mul(by, scale);
          const along = g.add(meanOf(scaled), g.mul(normal, meanOf(g.mul(scaled, normal))));
          return { parameters, input: g.mul(inverse, g.sub(scaled, along)) };
        },
      };
    },
  };
};
