// Nets in plain loops and 64 bits, written from the layers' definitions, to hold the generated graphs against.
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';

type Numbers = Float32Array | Float64Array;
type Parameters = ReadonlyMap<string, Numbers>;
/** One sample of any shape. */
interface Block {
  shape: number[];
  data: number[];
}
interface Use {
  parameters: Parameters;
  /** The masks that are left; undefined where the net isn't trained. */
  masks: Float32Array[] | undefined;
  id: string;
}
/** All samples at once, for some layers look at the batch. */
type Step = { kind: string; run(batch: Block[], use: Use): Block[] };

export class ReferenceNet {
  readonly #steps: Step[] = [];
  readonly #input: number[];
  readonly #outputs: number;
  readonly #loss: string;

  constructor(input: number[], layers: readonly JSONObject[], outputs: number, loss: string) {
    this.#input = input;
    this.#outputs = outputs;
    this.#loss = loss;
    for (const [index, layer] of layers.entries()) {
      const type = String(layer.type);
      const isLast = index === layers.length - 1;
      const ending = { cross_entropy: 'softmax', binary_cross_entropy: 'sigmoid' }[loss] ?? 'linear';
      const after = String(layer.activation ?? (isLast ? ending : 'linear'));
      if (type !== 'activation') this.#steps.push(stepOf(type, layer));
      if (after !== 'linear' && ['dense', 'conv1d', 'conv2d'].includes(type)) this.#steps.push(activationOf(after));
      if (type === 'activation') this.#steps.push(activationOf(after));
    }
  }

  output(parameters: Parameters, x: Float32Array, batch: number): number[] {
    return this.#run(parameters, x, batch, undefined).flatMap(({ data }) => data);
  }

  /** Mean over the batch, as the net is while it is trained. @param weights of the classes */
  loss(
    parameters: Parameters,
    x: Float32Array,
    t: Float32Array,
    batch: number,
    masks: Float32Array[],
    weights?: Float32Array,
  ): number {
    const outputs = this.#run(parameters, x, batch, [...masks]);
    const losses = outputs.map(({ data }, sample) => {
      const each = data.map((p, at) => this.#lossOf(p, t[sample * this.#outputs + at] ?? 0));
      const sum = each.reduce((total, value) => total + value, 0);
      return this.#weightOf(t, sample, weights) * (this.#loss === 'cross_entropy' ? sum : sum / this.#outputs);
    });
    return losses.reduce((total, value) => total + value, 0) / batch;
  }

  #weightOf(t: Float32Array, sample: number, weights: Float32Array | undefined): number {
    if (weights === undefined) return 1;
    const own = t.subarray(sample * this.#outputs, (sample + 1) * this.#outputs);
    const shares = own.length === 1 ? [1 - (own[0] ?? 0), own[0] ?? 0] : [...own];
    return shares.reduce((sum, share, at) => sum + share * (weights[at] ?? 0), 0);
  }

  #lossOf(p: number, t: number): number {
    if (this.#loss === 'mse') return (p - t) ** 2;
    if (this.#loss === 'cross_entropy') return t === 0 ? 0 : -t * Math.log(p);
    return -t * Math.log(p) - (1 - t) * Math.log(1 - p);
  }

  #run(parameters: Parameters, x: Float32Array, batch: number, masks: Float32Array[] | undefined): Block[] {
    const size = x.length / batch;
    let blocks: Block[] = Array.from({ length: batch }, (_, sample) => ({
      shape: this.#input,
      data: Array.from(x.subarray(sample * size, (sample + 1) * size)),
    }));
    for (const [index, { kind, run }] of this.#steps.entries())
      blocks = run(blocks, { parameters, masks, id: `${index}.${kind}` });
    return blocks;
  }
}

const each = (fn: (block: Block, use: Use) => Block) => (batch: Block[], use: Use) =>
  batch.map((block) => fn(block, use));

function activationOf(name: string): Step {
  const functions: Record<string, (x: number) => number> = {
    relu: (x) => Math.max(0, x),
    linear: (x) => x,
    tanh: Math.tanh,
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    gelu: (x) => x * normalBelow(x),
  };
  const softmax = (data: number[]): number[] => {
    const powers = data.map((x) => Math.exp(x));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  };
  const fn = functions[name];
  return {
    kind: name,
    run: each(({ shape, data }) => ({ shape, data: fn === undefined ? softmax(data) : data.map(fn) })),
  };
}

/** The normal distribution, by its power series: Abramowitz and Stegun 26.2.11. */
function normalBelow(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 3; n < 200; n += 2) {
    term *= (x * x) / n;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

const pairOf = (value: JSONValue | undefined, usual: [number, number]): [number, number] =>
  value === undefined
    ? usual
    : Array.isArray(value)
      ? [Number(value[0]), Number(value[1])]
      : [Number(value), Number(value)];

/** Places of a window, in order; what lies outside the image is left out. */
function windows(
  layer: JSONObject,
  [height = 0, width = 0]: number[],
  kernel: [number, number],
  usual: [number, number],
) {
  const strides = pairOf(layer.strides, usual);
  const along = (length: number, axis: 0 | 1): number[] => {
    const [size, stride] = [kernel[axis], strides[axis]];
    if (layer.padding !== 'same')
      return Array.from({ length: Math.floor((length - size) / stride) + 1 }, (_, index) => index * stride);
    const count = Math.ceil(length / stride);
    const padding = Math.max(0, (count - 1) * stride + size - length);
    return Array.from({ length: count }, (_, index) => index * stride - Math.floor(padding / 2));
  };
  const [rows, columns] = [along(height, 0), along(width, 1)];
  const inside = (top: number, left: number): { row: number; column: number; at: number }[] => {
    const places = [];
    for (let at = 0; at < kernel[0] * kernel[1]; at++) {
      const [row, column] = [top + Math.floor(at / kernel[1]), left + (at % kernel[1])];
      if (row >= 0 && row < height && column >= 0 && column < width) places.push({ row, column, at });
    }
    return places;
  };
  return { size: [rows.length, columns.length], all: rows.flatMap((top) => columns.map((left) => inside(top, left))) };
}

function pool(kind: string, layer: JSONObject, reduce: (values: number[]) => number): Step {
  return {
    kind,
    run: each(({ shape: [channels = 0, height = 0, width = 0], data }) => {
      const kernel = pairOf(layer.pool_size, [2, 2]);
      const { size, all } = windows(layer, [height, width], kernel, kernel);
      const out = Array.from({ length: channels }, (_, channel) =>
        all.map((places) =>
          reduce(places.map(({ row, column }) => data[(channel * height + row) * width + column] ?? Number.NaN)),
        ),
      );
      return { shape: [channels, ...size], data: out.flat() };
    }),
  };
}

/** Sequences are images of one row. */
function inOneRow(type: string, layer: JSONObject): Step {
  const inner = stepOf(type.replace('1d', '2d'), {
    ...layer,
    ...{ kernel_size: [1, layer.kernel_size ?? 3], pool_size: [1, layer.pool_size ?? 2] },
    ...(layer.strides === undefined ? {} : { strides: [1, layer.strides] }),
  });
  const image = ({ shape: [channels = 0, length = 0], data }: Block): Block => ({ shape: [channels, 1, length], data });
  return {
    kind: type,
    run: (batch, use) =>
      inner
        .run(batch.map(image), use)
        .map(({ shape: [channels = 0, , length = 0], data }) => ({ shape: [channels, length], data })),
  };
}

const mean = (values: number[]): number => values.reduce((total, value) => total + value, 0) / values.length;

function stepOf(type: string, layer: JSONObject): Step {
  const of = ({ parameters, id }: Use, name: string): Numbers => parameters.get(`${id}.${name}`) ?? new Float64Array();
  const steps: Record<string, Step['run']> = {
    dense: each(({ data }, use) => {
      const [weight, bias] = [of(use, 'weight'), of(use, 'bias')];
      const units = weight.length / data.length;
      const sumOf = (unit: number): number =>
        data.reduce((sum, x, index) => sum + x * (weight[index * units + unit] ?? 0), bias[unit] ?? 0);
      return { shape: [units], data: Array.from({ length: units }, (_, unit) => sumOf(unit)) };
    }),
    conv2d: each(({ shape: [channels = 0, height = 0, width = 0], data }, use) => {
      const [weight, bias] = [of(use, 'weight'), of(use, 'bias')];
      const kernel = pairOf(layer.kernel_size, [3, 3]);
      const area = kernel[0] * kernel[1];
      const { size, all } = windows(layer, [height, width], kernel, [1, 1]);
      const sumOf = (filter: number, places: { row: number; column: number; at: number }[]): number => {
        let sum = bias[filter] ?? 0;
        for (let channel = 0; channel < channels; channel++)
          for (const { row, column, at } of places)
            sum +=
              (data[(channel * height + row) * width + column] ?? 0) *
              (weight[(filter * channels + channel) * area + at] ?? 0);
        return sum;
      };
      const filters = Number(layer.filters);
      const out = Array.from({ length: filters }, (_, filter) => all.map((places) => sumOf(filter, places)));
      return { shape: [filters, ...size], data: out.flat() };
    }),
    max_pool2d: pool(type, layer, (values) => Math.max(...values)).run,
    avg_pool2d: pool(type, layer, mean).run,
    global_avg_pool2d: each(({ shape: [channels = 0], data }) => {
      const area = data.length / channels;
      const means = Array.from({ length: channels }, (_, at) => mean(data.slice(at * area, (at + 1) * area)));
      return { shape: [channels], data: means };
    }),
    flatten: each(({ data }) => ({ shape: [data.length], data })),
    reshape: each(({ data }) => ({ shape: layer.shape as number[], data })),
    dropout(batch, { masks }) {
      const mask = masks?.shift();
      return batch.map(({ shape, data }, sample) => ({
        shape,
        data: mask === undefined ? data : data.map((x, at) => x * (mask[sample * data.length + at] ?? 0)),
      }));
    },
    batch_norm(batch, use) {
      const [features = 1] = batch[0]?.shape ?? [];
      const area = (batch[0]?.data.length ?? 0) / features;
      const [scale, shift, means, variances] = ['scale', 'shift', 'mean', 'variance'].map((name) => of(use, name));
      const out = batch.map(({ shape, data }) => ({ shape, data: [...data] }));
      for (let feature = 0; feature < features; feature++) {
        const own = (data: number[]): number[] => data.slice(feature * area, (feature + 1) * area);
        const values = batch.flatMap(({ data }) => own(data));
        const isTrained = use.masks !== undefined;
        const middle = isTrained ? mean(values) : (means?.[feature] ?? 0);
        const variance = isTrained ? mean(values.map((x) => (x - middle) ** 2)) : (variances?.[feature] ?? 0);
        for (const { data } of out)
          for (let at = feature * area; at < (feature + 1) * area; at++)
            data[at] =
              (((data[at] ?? 0) - middle) / Math.sqrt(variance + 1e-5)) * (scale?.[feature] ?? 0) +
              (shift?.[feature] ?? 0);
      }
      return out;
    },
  };
  if (type === 'conv1d' || type === 'max_pool1d') return inOneRow(type, layer);
  return { kind: type, run: steps[type] ?? ((batch) => batch) };
}
