import { StepError } from '../../../lib/errors.ts';
import type { DecodeRequest, ImageResize } from '../image/messages.ts';
import { resample } from '../image/resample.ts';
import { shapeText, type TensorInfo } from '../model/info.ts';
import { cast } from '../tensor/cast.ts';
import { allocate, type DType } from '../tensor/dtype.ts';
import { checkSize, sizeOf, type Tensor } from '../tensor/tensor.ts';

export const layouts = ['nhwc', 'nchw'] as const;
type Layout = (typeof layouts)[number];

/** What is done to an input before the model gets it, in this order: resize, scale, subtract the mean, divide by the deviation, change the layout. */
export interface Preprocess {
  /** Of the images that are given; by default the model's. */
  layout?: Layout;
  /** By default what the lengths of its axes tell. */
  model_layout?: Layout;
  resize?: ImageResize | undefined;
  scale?: number;
  /** One number, or one for each channel of images, for each element of a row else. */
  mean?: number | number[];
  std?: number | number[];
}

/** What a process is asked to do with a tensor. */
export interface PreprocessJob {
  tensor: Tensor;
  steps: Preprocess;
  info: TensorInfo;
  /** Of the tensor, for errors. */
  path: string;
}

/** Elements that the preprocessing reads or makes, whichever are more: what it costs. */
export function preprocessSize({ tensor: { shape, data }, steps, info }: PreprocessJob): number {
  const { resize: to } = steps;
  if (to === undefined) return data.length;
  const { count, channels } = imageAxes(asImages(shape, info), layoutsOf(steps, info).layout);
  return Math.max(data.length, count * channels * to.width * to.height);
}

/** @throws StepError INVALID_PARAMS, ML_INPUT_MISMATCH, ML_TENSOR_TOO_LARGE */
export function preprocess(tensor: Tensor, steps: Preprocess, info: TensorInfo, path: string): Tensor {
  const typed = cast(tensor, 'float32', path);
  let result: Tensor = { ...typed, shape: asImages(typed.shape, info) };
  const isImages = result.shape.length === 4;
  const { layout, modelLayout } = layoutsOf(steps, info);
  if (steps.resize !== undefined) {
    if (!isImages)
      throw new StepError('INVALID_PARAMS', `${path} must be images [count, height, width, channels] to be resized`);
    result = resize(result, steps.resize, layout, path);
  }
  result = normalise(result, steps, isImages && layout === 'nchw' ? 1 : result.shape.length - 1, path);
  if (isImages && modelLayout !== undefined && modelLayout !== layout) result = relayout(result, modelLayout);
  return rounded(result, info.dtype);
}

/** A single image is one of a list for a model that takes lists. */
const asImages = (shape: readonly number[], info: TensorInfo): readonly number[] =>
  shape.length === 3 && info.shape?.length === 4 ? [1, ...shape] : shape;

/** Of what is given, and of what the model takes, where that is known. */
function layoutsOf(steps: Preprocess, info: TensorInfo): { layout: Layout; modelLayout: Layout | undefined } {
  const modelLayout = steps.model_layout ?? layoutOf(info);
  return { layout: steps.layout ?? modelLayout ?? 'nhwc', modelLayout };
}

const wholeNumbers: Partial<Record<DType, readonly [least: number, greatest: number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32_768, 32_767],
  uint16: [0, 65_535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
};

/** For a model that takes pixels as whole numbers: the nearest of them, within the range of their type. */
function rounded(tensor: Tensor, dtype: DType): Tensor {
  const range = wholeNumbers[dtype];
  if (range === undefined) return tensor;
  const [least, greatest] = range;
  const source = tensor.data as Float32Array;
  const data = allocate(dtype, source.length) as Int32Array<ArrayBuffer>;
  for (let at = 0; at < data.length; at += 1)
    data[at] = Math.min(Math.max(Math.round(source[at] as number), least), greatest);
  return { ...tensor, dtype, data };
}

/** Images have few channels. */
function layoutOf({ shape }: TensorInfo): Layout | undefined {
  if (shape?.length !== 4) return undefined;
  const few = (length: unknown): boolean => length === 1 || length === 3 || length === 4;
  return few(shape[3]) && !few(shape[1]) ? 'nhwc' : few(shape[1]) && !few(shape[3]) ? 'nchw' : undefined;
}

/**
 * How image files are decoded for an input: in the size and with the channels that it takes, where these are fixed.
 * @param path of the images, for the error @throws StepError INVALID_PARAMS where the input's layout can't be told
 */
export function imagesFor(
  info: TensorInfo,
  steps: Preprocess | undefined,
  path: string,
): Pick<DecodeRequest, 'channels' | 'resize'> {
  const layout = steps?.model_layout ?? layoutOf(info);
  if (layout === undefined)
    throw new StepError(
      'INVALID_PARAMS',
      `${path} is image files, and the shape ${shapeText(info.shape)} of the input "${info.name}" doesn't tell which axis is the channels: give params.preprocess.model_layout`,
    );
  const [, a, b, c] = info.shape ?? [];
  const [height, width, channels] = layout === 'nchw' ? [b, c, a] : [a, b, c];
  const isFixed = (length: unknown): length is number => typeof length === 'number' && length > 0;
  return {
    channels: channels === 1 || channels === 4 ? channels : 3,
    resize: steps?.resize ?? (isFixed(height) && isFixed(width) ? { width, height } : undefined),
  };
}

/** Where the elements of images lie. */
function imageAxes(shape: readonly number[], layout: Layout) {
  const [count = 0, a = 0, b = 0, c = 0] = shape;
  const [height, width, channels] = layout === 'nhwc' ? [a, b, c] : [b, c, a];
  const strides =
    layout === 'nhwc'
      ? { image: height * width * channels, y: width * channels, x: channels, channel: 1 }
      : { image: height * width * channels, y: width, x: 1, channel: height * width };
  return { count, height, width, channels, ...strides };
}

const imageShape = (count: number, height: number, width: number, channels: number, layout: Layout): number[] =>
  layout === 'nhwc' ? [count, height, width, channels] : [count, channels, height, width];

function resize({ shape, data }: Tensor, to: ImageResize, layout: Layout, path: string): Tensor {
  const { count, height, width, channels } = imageAxes(shape, layout);
  if (width * height === 0) throw new StepError('INVALID_PARAMS', `${path} has images without pixels`);
  const newShape = imageShape(count, to.height, to.width, channels, layout);
  checkSize('float32', newShape, path);
  const [outer, inner] = layout === 'nhwc' ? [count, channels] : [count * channels, 1];
  return {
    dtype: 'float32',
    shape: newShape,
    data: resample(data as Float32Array, { outer, height, width, inner }, to),
  };
}

/** @param axis which `mean` and `std` have a number for each element of */
function normalise(tensor: Tensor, { scale = 1, mean = 0, std = 1 }: Preprocess, axis: number, path: string): Tensor {
  if (scale === 1 && mean === 0 && std === 1) return tensor;
  const { shape } = tensor;
  const length = shape[axis] ?? 1;
  const inner = sizeOf(shape.slice(axis + 1));
  const means = listFor(mean, length, 'mean', path);
  const stds = listFor(std, length, 'std', path);
  if (stds.includes(0)) throw new StepError('INVALID_PARAMS', 'params.preprocess.std must not be 0');
  const source = tensor.data as Float32Array;
  const data = new Float32Array(source.length);
  for (let at = 0; at < data.length; at += 1) {
    const channel = Math.floor(at / inner) % length;
    data[at] = ((source[at] as number) * scale - (means[channel] as number)) / (stds[channel] as number);
  }
  return { ...tensor, data };
}

function listFor(value: number | number[], length: number, name: string, path: string): number[] {
  if (typeof value === 'number') return new Array<number>(length).fill(value);
  if (value.length !== length)
    throw new StepError(
      'INVALID_PARAMS',
      `params.preprocess.${name} has ${value.length} numbers, and ${path} has ${length} channels`,
    );
  return value;
}

/** Images in the other layout. */
function relayout({ shape, data }: Tensor, layout: Layout): Tensor {
  const from = imageAxes(shape, layout === 'nhwc' ? 'nchw' : 'nhwc');
  const newShape = imageShape(from.count, from.height, from.width, from.channels, layout);
  const to = imageAxes(newShape, layout);
  const source = data as Float32Array;
  const target = new Float32Array(source.length);
  for (let image = 0; image < from.count; image += 1)
    for (let y = 0; y < from.height; y += 1)
      for (let x = 0; x < from.width; x += 1)
        for (let channel = 0; channel < from.channels; channel += 1)
          target[image * to.image + y * to.y + x * to.x + channel * to.channel] = source[
            image * from.image + y * from.y + x * from.x + channel * from.channel
          ] as number;
  return { dtype: 'float32', shape: newShape, data: target };
}
