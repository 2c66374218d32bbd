import type { Initial, Layer } from './layer.ts';

/** A row of `inputs` numbers times a matrix, plus a bias. */
export const dense = (inputs: number, units: number, hasBias: boolean, initial: Initial): Layer => ({
  kind: 'dense',
  shape: [units],
  parameters: [
    { name: 'weight', shape: [inputs, units], initial, trained: true, decays: true },
    ...(hasBias ? [biasOf(units)] : []),
  ],
  build(g, x, values) {
    const weight = values('weight');
    return {
      output: g.gemm(x, weight, hasBias ? values('bias') : undefined),
      backward: (by, wantsInput) => ({
        parameters: {
          weight: g.gemm(x, by, undefined, { transA: true }),
          ...(hasBias ? { bias: g.sum(by, [0]) } : {}),
        },
        ...(wantsInput ? { input: g.gemm(by, weight, undefined, { transB: true }) } : {}),
      }),
    };
  },
});

export const biasOf = (length: number) =>
  ({
    name: 'bias',
    shape: [length],
    initial: { kind: 'constant', value: 0 },
    trained: true,
    decays: false,
  }) as const;
