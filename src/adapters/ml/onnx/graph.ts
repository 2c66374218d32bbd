import { assert } from '../../../lib/assert.ts';

export type ElementType = 'float32' | 'int64' | 'bool';

/** Whole numbers, texts, lists of whole numbers, and 32-bit floats. */
export type Attribute = number | string | readonly number[] | { float: number };

/** Lengths of the axes; a name stands for a length that is known when the model runs. */
export type Shape = readonly (number | string)[];

export interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
}

export interface GraphNode {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes: Readonly<Record<string, Attribute>>;
}

/** A window that slides over images `[batch, channels, height, width]`. */
export interface Window {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number];
}

const windowAttributes = ({ kernel, strides, pads }: Window): Record<string, Attribute> => ({
  kernel_shape: kernel,
  strides,
  pads,
});

/**
 * Builds an ONNX graph, operator by operator. Every operator checks the shapes it is given: a mistake is a defect of the caller, found when
 * the graph is built rather than when it runs. Operators: https://onnx.ai/onnx/operators/
 */
export class Graph {
  readonly nodes: GraphNode[] = [];
  readonly constants: { value: Value; data: Float32Array | BigInt64Array }[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  /** Names that outputs got, by the names they had. */
  readonly names = new Map<string, string>();
  readonly #scalars = new Map<number, Value>();
  #count = 0;

  input(name: string, shape: Shape): Value {
    const value: Value = { name, type: 'float32', shape };
    this.inputs.push(value);
    return value;
  }

  /** Gives a value its place among the outputs. It must come out of a node, and only once. */
  output(name: string, value: Value): void {
    assert(!this.names.has(value.name) && this.nodes.some(({ outputs }) => outputs.includes(value.name)), name);
    this.names.set(value.name, name);
    this.outputs.push(value);
  }

  constant(data: Float32Array | BigInt64Array, shape: Shape, name = this.#name('constant')): Value {
    const value: Value = { name, type: data instanceof Float32Array ? 'float32' : 'int64', shape };
    assert(data.length === elementsOf(shape), `${name} has as many elements as its shape`);
    this.constants.push({ value, data });
    return value;
  }

  scalar(number: number): Value {
    const known = this.#scalars.get(number);
    if (known !== undefined) return known;
    const value = this.constant(Float32Array.of(number), []);
    this.#scalars.set(number, value);
    return value;
  }

  add = (a: Value, b: Value): Value => this.#broadcast('Add', a, b);
  sub = (a: Value, b: Value): Value => this.#broadcast('Sub', a, b);
  mul = (a: Value, b: Value): Value => this.#broadcast('Mul', a, b);
  div = (a: Value, b: Value): Value => this.#broadcast('Div', a, b);
  greater = (a: Value, b: Value): Value => this.#broadcast('Greater', a, b, 'bool');
  equal = (a: Value, b: Value): Value => this.#broadcast('Equal', a, b, 'bool');

  sqrt = (x: Value): Value => this.#unary('Sqrt', x);
  exp = (x: Value): Value => this.#unary('Exp', x);
  log = (x: Value): Value => this.#unary('Log', x);
  abs = (x: Value): Value => this.#unary('Abs', x);
  erf = (x: Value): Value => this.#unary('Erf', x);
  relu = (x: Value): Value => this.#unary('Relu', x);
  tanh = (x: Value): Value => this.#unary('Tanh', x);
  sigmoid = (x: Value): Value => this.#unary('Sigmoid', x);
  identity = (x: Value): Value => this.#unary('Identity', x);
  /** Over the last axis. */
  softmax = (x: Value): Value => this.node('Softmax', [x], x.shape, { axis: -1 });
  logSoftmax = (x: Value): Value => this.node('LogSoftmax', [x], x.shape, { axis: -1 });

  where(condition: Value, a: Value, b: Value): Value {
    assert(condition.type === 'bool', 'where asks a condition');
    return this.node('Where', [condition, a, b], broadcast(condition.shape, broadcast(a.shape, b.shape)));
  }

  /** True and false as 1 and 0. */
  count(condition: Value): Value {
    assert(condition.type === 'bool', 'conditions are counted');
    return this.node('Cast', [condition], condition.shape, { to: 1 });
  }

  /** Which of the last axis is the greatest; the first, where several are. */
  argMax(x: Value): Value {
    const shape = x.shape.slice(0, -1);
    return this.node('ArgMax', [x], shape, { axis: -1, keepdims: 0 }, 'int64');
  }

  /** `a` times `b`, both matrices, either transposed, plus a row. */
  gemm(a: Value, b: Value, row?: Value, { transA = false, transB = false } = {}): Value {
    const [m, k] = matrix(a, transA);
    const [l, n] = matrix(b, transB);
    assert(k === l, `${show(a.shape)} times ${show(b.shape)}`);
    assert(row === undefined || row.shape[0] === n, 'the row is as wide as the product');
    const inputs = row === undefined ? [a, b] : [a, b, row];
    return this.node('Gemm', inputs, [m, n], { transA: Number(transA), transB: Number(transB) });
  }

  /** @param axes all, where not given */
  sum(x: Value, axes: readonly number[] = x.shape.map((_, axis) => axis), keep = false): Value {
    const shape = x.shape.flatMap((length, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [length]));
    const which = this.constant(BigInt64Array.from(axes, BigInt), [axes.length]);
    return this.node('ReduceSum', [x, which], shape, { keepdims: Number(keep) });
  }

  /** One length at most may be a name; it is worked out when the model runs. */
  reshape(x: Value, shape: Shape): Value {
    const named = shape.filter((length) => typeof length === 'string').length;
    assert(named <= 1, 'one length at most is unknown');
    const sizes = BigInt64Array.from(shape, (length) => (typeof length === 'number' ? BigInt(length) : -1n));
    return this.node('Reshape', [x, this.constant(sizes, [shape.length])], shape, {}, x.type);
  }

  transpose(x: Value, order: readonly number[]): Value {
    assert(order.length === x.shape.length, 'every axis has its place');
    return this.node(
      'Transpose',
      [x],
      order.map((axis) => lengthOf(x, axis)),
      { perm: order },
    );
  }

  /** The first of each axis that is named, as many as said. */
  slice(x: Value, lengths: Readonly<Record<number, number>>): Value {
    const axes = Object.keys(lengths).map(Number);
    const list = (numbers: readonly number[]) => this.constant(BigInt64Array.from(numbers, BigInt), [numbers.length]);
    const shape = x.shape.map((length, axis) => lengths[axis] ?? length);
    return this.node('Slice', [x, list(axes.map(() => 0)), list(Object.values(lengths)), list(axes)], shape);
  }

  /** @param weights `[filters, channels, height, width]` */
  conv(x: Value, weights: Value, bias: Value | undefined, window: Window, dilations = [1, 1]): Value {
    assert(x.shape[1] === weights.shape[1], `${show(weights.shape)} over ${show(x.shape)}`);
    const shape = [lengthOf(x, 0), lengthOf(weights, 0), ...slide(x, window, dilations)];
    return this.node('Conv', bias === undefined ? [x, weights] : [x, weights, bias], shape, {
      ...windowAttributes(window),
      dilations,
    });
  }

  /** What `conv` makes of images of `shape`, the other way round. @param group channels that have weights of their own */
  convTranspose(x: Value, weights: Value, window: Window, shape: Shape, group = 1): Value {
    const rest = [2, 3].map((axis) => {
      const full = slideBack(lengthOf(x, axis), window, axis - 2);
      return Number(shape[axis]) - full;
    });
    assert(
      rest.every((length, axis) => length >= 0 && length < (window.strides[axis] ?? 1)),
      'the window fits the images',
    );
    return this.node('ConvTranspose', [x, weights], shape, {
      ...windowAttributes(window),
      output_padding: rest,
      group,
    });
  }

  /** The greatest of each window, and its place among all elements of `x`. */
  maxPool(x: Value, window: Window, withPlaces: true): [Value, Value];
  maxPool(x: Value, window: Window, withPlaces: false): [Value];
  maxPool(x: Value, window: Window, withPlaces: boolean): Value[] {
    const shape = [lengthOf(x, 0), lengthOf(x, 1), ...slide(x, window)];
    const y = this.#value('float32', shape);
    const outputs = withPlaces ? [y, this.#value('int64', shape)] : [y];
    this.#push('MaxPool', [x], outputs, windowAttributes(window));
    return outputs;
  }

  /** Means of windows; what lies outside the image does not count. */
  averagePool(x: Value, window: Window): Value {
    const shape = [lengthOf(x, 0), lengthOf(x, 1), ...slide(x, window)];
    return this.node('AveragePool', [x], shape, windowAttributes(window));
  }

  /** Any operator with one output. */
  node(
    op: string,
    inputs: readonly Value[],
    shape: Shape,
    attributes: Readonly<Record<string, Attribute>> = {},
    type: ElementType = 'float32',
  ): Value {
    const value = this.#value(type, shape);
    this.#push(op, inputs, [value], attributes);
    return value;
  }

  #unary(op: string, x: Value): Value {
    assert(x.type === 'float32', `${op} of numbers`);
    return this.node(op, [x], x.shape);
  }

  #broadcast(op: string, a: Value, b: Value, type: ElementType = 'float32'): Value {
    assert(a.type === b.type, `${op} of a kind`);
    return this.node(op, [a, b], broadcast(a.shape, b.shape), {}, type);
  }

  #push(op: string, inputs: readonly Value[], outputs: Value[], attributes: Readonly<Record<string, Attribute>>): void {
    this.nodes.push({
      op,
      inputs: inputs.map(({ name }) => name),
      outputs: outputs.map(({ name }) => name),
      attributes,
    });
  }

  #value(type: ElementType, shape: Shape): Value {
    return { name: this.#name('value'), type, shape };
  }

  #name(kind: string): string {
    return `${kind}.${this.#count++}`;
  }
}

/** Elements of a tensor whose lengths are all known. */
export function elementsOf(shape: Shape): number {
  return shape.reduce<number>((product, length) => {
    assert(typeof length === 'number', 'the length is known');
    return product * length;
  }, 1);
}

/** Lengths of what a window over images gives. */
function slide({ shape }: Value, window: Window, dilations: readonly number[] = [1, 1]): number[] {
  return [0, 1].map((axis) => {
    const [length, kernel, stride, dilation] = [
      shape[axis + 2],
      window.kernel[axis],
      window.strides[axis],
      dilations[axis],
    ];
    // The kernel of a gradient by weights is as long as the images are, which is known; only batches are not.
    assert(typeof length === 'number' && kernel && stride && dilation, 'images of known size');
    const inside = length + (window.pads[axis] ?? 0) + (window.pads[axis + 2] ?? 0) - dilation * (kernel - 1) - 1;
    assert(inside >= 0, 'the window fits into the image');
    return Math.floor(inside / stride) + 1;
  });
}

const slideBack = (length: number | string, { kernel, strides, pads }: Window, axis: number): number =>
  (Number(length) - 1) * (strides[axis] ?? 1) + (kernel[axis] ?? 1) - (pads[axis] ?? 0) - (pads[axis + 2] ?? 0);

function matrix({ shape }: Value, transposed: boolean): [number | string, number | string] {
  const [rows, columns, ...others] = shape;
  assert(rows !== undefined && columns !== undefined && others.length === 0, `${show(shape)} is a matrix`);
  return transposed ? [columns, rows] : [rows, columns];
}

function lengthOf({ shape }: Value, axis: number): number | string {
  const length = shape[axis];
  assert(length !== undefined, `${show(shape)} has axis ${axis}`);
  return length;
}

/** The shape of an operator's output whose inputs are stretched along axes of length 1. */
function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, index) => {
    const [m, n] = [a[a.length - rank + index] ?? 1, b[b.length - rank + index] ?? 1];
    assert(m === n || m === 1 || n === 1, `${show(a)} goes with ${show(b)}`);
    return m === 1 ? n : m;
  });
}

const show = (shape: Shape): string => `[${shape.join(', ')}]`;
