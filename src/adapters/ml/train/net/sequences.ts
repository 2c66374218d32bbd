import type { Layer } from './layer.ts';

/** A layer over images, for sequences `[channels, length]`: they are images of one row. @param from shape of what comes in */
export const overSequences = (kind: string, images: Layer, from: readonly number[]): Layer => {
  const [channels = 1, , length = 1] = images.shape;
  const [channelsBefore = 1, lengthBefore = 1] = from;
  return {
    kind,
    shape: [channels, length],
    parameters: images.parameters,
    build(g, x, values, mode) {
      const built = images.build(g, g.reshape(x, ['batch', channelsBefore, 1, lengthBefore]), values, mode);
      return {
        output: g.reshape(built.output, ['batch', channels, length]),
        backward(by, wantsInput) {
          const { input, parameters } = built.backward(g.reshape(by, ['batch', ...images.shape]), wantsInput);
          return input === undefined ? { parameters } : { parameters, input: g.reshape(input, ['batch', ...from]) };
        },
      };
    },
  };
};
