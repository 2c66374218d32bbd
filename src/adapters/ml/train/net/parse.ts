import { StepError } from '../../../../lib/errors.ts';
import type { JSONObject } from '../../../../lib/json.ts';
import type { Window } from '../../onnx/graph.ts';
import { elementsOf } from '../../onnx/graph.ts';
import { type Activation, activation, activations } from './activation.ts';
import { batchNorm } from './batch-norm.ts';
import { conv2d } from './conv2d.ts';
import { dense } from './dense.ts';
import { type End, elementsMax, endings, Fields, refuse } from './fields.ts';
import type { Initial, Layer } from './layer.ts';
import { type LayerType, type LossKind, layerTypes } from './names.ts';
import { averagePool2d, globalAveragePool2d, maxPool2d } from './pool2d.ts';
import { overSequences } from './sequences.ts';
import { dropout, flatten, reshape } from './shape-layers.ts';

const layersMax = 100;
const parametersMax = 50_000_000;

/** What a net is, as the model keeps it. */
export interface NetSpec {
  /** Of one sample: `[features]`, or `[channels, height, width]`. */
  input: number[];
  layers: JSONObject[];
  /** Outputs: classes, or numbers that are predicted. */
  outputs: number;
  loss: LossKind;
}

export interface Net {
  readonly input: readonly number[];
  readonly layers: readonly Layer[];
  readonly outputs: number;
  readonly loss: LossKind;
}

/** @throws StepError INVALID_PARAMS, with the layer's path and the shapes that do not fit; ML_NET_TOO_LARGE */
export function parseNet({ input, layers: specs, outputs, loss }: NetSpec): Net {
  if (specs.length === 0 || specs.length > layersMax)
    throw refuse('layers', `must be 1 to ${layersMax} layers, not ${specs.length}`);
  const layers: Layer[] = [];
  let shape: readonly number[] = input;
  for (const [index, spec] of specs.entries()) {
    const isLast = index === specs.length - 1;
    const fields = new Fields(spec, `layers[${index}]`, shape);
    for (const layer of parseLayer(fields, isLast ? { outputs, loss } : undefined)) {
      layers.push(layer);
      shape = layer.shape;
      checkSize(layer, fields.path);
    }
    fields.end();
  }
  const net: Net = { input, layers, outputs, loss };
  checkEnd(net);
  return net;
}

/** Parameters of a net, those of running statistics too. */
export const countParameters = ({ layers }: Net): number =>
  layers.flatMap(({ parameters }) => parameters).reduce((sum, parameter) => sum + elementsOf(parameter.shape), 0);

function checkSize({ shape, parameters }: Layer, path: string): void {
  const size = parameters.reduce((sum, parameter) => sum + elementsOf(parameter.shape), 0);
  if (elementsOf(shape) > elementsMax || size > parametersMax)
    throw new StepError(
      'ML_NET_TOO_LARGE',
      `params.${path} has ${size} parameters and gives ${elementsOf(shape)} numbers a sample; at most ${parametersMax} and ${elementsMax} are allowed`,
    );
}

function checkEnd(net: Net): void {
  const { layers, outputs, loss } = net;
  const last = layers.at(-1);
  const shape = last?.shape ?? [];
  if (shape.length !== 1 || shape[0] !== outputs)
    throw refuse(
      'layers',
      `end with the shape [${shape.join(', ')}], but the labels need [${outputs}]: end with { "type": "dense" }, whose units follow from the labels`,
    );
  const ending = endings[loss];
  if (ending !== undefined && last?.kind !== ending)
    throw refuse('layers', `must end with the activation ${ending} for the loss ${loss}, not with ${last?.kind}`);
  const size = countParameters(net);
  if (size > parametersMax)
    throw new StepError('ML_NET_TOO_LARGE', `the net has ${size} parameters; at most ${parametersMax} are allowed`);
  if (!layers.some(({ parameters }) => parameters.some(({ trained }) => trained)))
    throw refuse('layers', 'have no parameters to train: add a dense layer');
}

const setShape = 'set params.input_shape, or put a reshape before it';

const parsers: Record<LayerType, (fields: Fields, end: End | undefined) => Layer[]> = {
  dense(fields, end) {
    const [inputs] = fields.shaped(1, 'put { "type": "flatten" } before it');
    const units = fields.whole('units', 1, 1_000_000, end?.outputs);
    const hasBias = fields.flag('bias', true);
    const [name, after] = fields.activation([units], end);
    return [dense(inputs ?? 1, units, hasBias, initialOf(name, inputs ?? 1, units)), ...after];
  },
  conv1d(fields, end) {
    const [channels = 1, length = 1] = fields.shaped(2, setShape);
    const filters = fields.whole('filters', 1, 65_536);
    const kernel = [1, fields.whole('kernel_size', 1, 4096, 3)] as const;
    const strides = [1, fields.whole('strides', 1, 4096, 1)] as const;
    const { window, size } = windowOf(fields, kernel, strides, [1, length]);
    const hasBias = fields.flag('bias', true);
    const [name, after] = fields.activation([filters, size[1]], end);
    const initial = initialOf(name, channels * kernel[1], filters * kernel[1]);
    return [
      overSequences('conv1d', conv2d(channels, [filters, ...size], window, hasBias, initial), fields.shape),
      ...after,
    ];
  },
  max_pool1d(fields) {
    const [channels = 1, length = 1] = fields.shaped(2, setShape);
    const kernel = [1, fields.whole('pool_size', 1, 4096, 2)] as const;
    const strides = [1, fields.whole('strides', 1, 4096, kernel[1])] as const;
    const { window, size } = windowOf(fields, kernel, strides, [1, length]);
    return [overSequences('max_pool1d', maxPool2d([channels, ...size], window), fields.shape)];
  },
  conv2d(fields, end) {
    const [channels = 1, height = 1, width = 1] = fields.shaped(3, setShape);
    const filters = fields.whole('filters', 1, 65_536);
    const kernel = fields.pair('kernel_size', 3);
    const { window, size } = windowOf(fields, kernel, fields.pair('strides', 1), [height, width]);
    const hasBias = fields.flag('bias', true);
    const shape = [filters, ...size] as const;
    const [name, after] = fields.activation(shape, end);
    const area = kernel[0] * kernel[1];
    return [conv2d(channels, shape, window, hasBias, initialOf(name, channels * area, filters * area)), ...after];
  },
  max_pool2d: (fields) => {
    const { shape, window } = poolOf(fields);
    return [maxPool2d(shape, window)];
  },
  avg_pool2d: (fields) => {
    const { shape, window } = poolOf(fields);
    return [averagePool2d(shape, window)];
  },
  global_avg_pool2d: (fields) => [globalAveragePool2d(fields.shaped(3, setShape))],
  flatten: ({ shape }) => [flatten(shape)],
  reshape(fields) {
    const to = fields.lengths('shape');
    if (elementsOf(to) !== elementsOf(fields.shape))
      throw refuse(
        `${fields.path}.shape`,
        `has ${elementsOf(to)} numbers, but [${fields.shape.join(', ')}] has ${elementsOf(fields.shape)}`,
      );
    return [reshape('reshape', fields.shape, to)];
  },
  activation: (fields) => [activation(fields.choice('activation', activations, undefined), fields.shape)],
  dropout: (fields) => [dropout(fields.shape, fields.number('rate', 0, 0.99, 0.5))],
  batch_norm(fields) {
    if (fields.shape.length > 3)
      throw refuse(fields.path, `normalizes rows, sequences or images, not [${fields.shape.join(', ')}]`);
    return [batchNorm(fields.shape, fields.number('momentum', 0, 1, 0.9), fields.number('epsilon', 1e-8, 1, 1e-5))];
  },
};

function parseLayer(fields: Fields, end: End | undefined): Layer[] {
  const type = fields.choice('type', layerTypes, undefined);
  return parsers[type](fields, end);
}

/** He's for what a rectifier follows (arXiv:1502.01852), Glorot's otherwise (proceedings.mlr.press/v9/glorot10a). */
const initialOf = (after: Activation, inputs: number, outputs: number): Initial =>
  after === 'relu' || after === 'gelu'
    ? { kind: 'normal', deviation: Math.sqrt(2 / inputs) }
    : { kind: 'uniform', limit: Math.sqrt(6 / (inputs + outputs)) };

function poolOf(fields: Fields): { shape: number[]; window: Window } {
  const [channels = 1, height = 1, width = 1] = fields.shaped(3, setShape);
  const kernel = fields.pair('pool_size', 2);
  const { window, size } = windowOf(fields, kernel, fields.pair('strides', kernel), [height, width]);
  return { shape: [channels, ...size], window };
}

/** A window, and how often it fits. `same`: padded so that there are as many as strides fit, the odd one at the end. */
function windowOf(
  fields: Fields,
  kernel: readonly [number, number],
  strides: readonly [number, number],
  image: readonly [number, number],
): { window: Window; size: readonly [number, number] } {
  const isSame = fields.choice('padding', ['valid', 'same'] as const, 'valid') === 'same';
  const along = (axis: 0 | 1): { size: number; before: number; after: number } => {
    const [length, window, stride] = [image[axis], kernel[axis], strides[axis]];
    if (isSame) {
      const size = Math.ceil(length / stride);
      const padding = Math.max(0, (size - 1) * stride + window - length);
      return { size, before: Math.floor(padding / 2), after: Math.ceil(padding / 2) };
    }
    if (window > length)
      throw refuse(
        fields.path,
        `slides a window of ${kernel.join(' × ')} over images of ${image.join(' × ')}: make it smaller, or set "padding": "same"`,
      );
    return { size: Math.floor((length - window) / stride) + 1, before: 0, after: 0 };
  };
  const [vertical, horizontal] = [along(0), along(1)];
  const pads = [vertical.before, horizontal.before, vertical.after, horizontal.after] as const;
  return { window: { kernel, strides, pads }, size: [vertical.size, horizontal.size] };
}
