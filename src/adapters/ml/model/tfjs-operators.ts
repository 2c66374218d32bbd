import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Graph, Value, Window } from '../onnx/graph.ts';

type Weight = (name: string) => { shape: number[]; data: Float32Array } | undefined;
type Operator = (graph: Graph, inputs: readonly Value[], config: JSONObject, weight: Weight) => Value;
type Activation = (graph: Graph, value: Value) => Value;

const unary =
  (op: string, attributes: Record<string, { float: number }> = {}): Activation =>
  (graph, value) =>
    graph.node(op, [value], value.shape, attributes);

const activations: Readonly<Record<string, Activation>> = {
  linear: (_, value) => value,
  relu: (graph, value) => graph.relu(value),
  relu6: (graph, value) => graph.node('Clip', [value, graph.scalar(0), graph.scalar(6)], value.shape),
  sigmoid: (graph, value) => graph.sigmoid(value),
  tanh: (graph, value) => graph.tanh(value),
  softmax: (graph, value) => graph.softmax(value),
  elu: unary('Elu'),
  selu: unary('Selu', { alpha: { float: 1.6732632423543772 }, gamma: { float: 1.0507009873554805 } }),
  softplus: unary('Softplus'),
  softsign: unary('Softsign'),
  hardSigmoid: unary('HardSigmoid', { alpha: { float: 0.2 }, beta: { float: 0.5 } }),
  swish: (graph, value) => graph.mul(value, graph.sigmoid(value)),
};

/** Keras writes `hard_sigmoid`, TensorFlow.js `hardSigmoid`. */
export function activation(name: string): Activation | undefined {
  const camel = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return Object.hasOwn(activations, camel) ? activations[camel] : undefined;
}

const first = (inputs: readonly Value[]): Value => {
  const [value] = inputs;
  if (value === undefined)
    throw new StepError('ML_INVALID_MODEL', 'the TensorFlow.js model has a layer without an input');
  return value;
};

function constant(graph: Graph, weight: Weight, name: string, shape?: readonly number[]): Value {
  const found = weight(name);
  if (found === undefined)
    throw new StepError('ML_INVALID_MODEL', `the TensorFlow.js model has no weight "${name}" for a layer`);
  return graph.constant(found.data, shape ?? found.shape);
}

const pair = (value: unknown, otherwise: readonly [number, number]): [number, number] => {
  if (Array.isArray(value)) return [Number(value[0]), Number(value[1] ?? value[0])];
  return typeof value === 'number' ? [value, value] : [...otherwise];
};

/** Of images channels first. `same`: what is odd is added at the end, as TensorFlow does. */
function windowOf(
  { shape }: Value,
  kernel: [number, number],
  config: JSONObject,
  dilations: readonly number[],
  strided: readonly [number, number],
): Window {
  const strides = pair(config.strides, strided);
  const total = [0, 1].map((axis) => {
    if (config.padding !== 'same') return 0;
    const [length, stride] = [Number(shape[axis + 2]), strides[axis] ?? 1];
    const reach = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1;
    return Math.max(0, (Math.ceil(length / stride) - 1) * stride + reach - length);
  });
  const before = total.map((pad) => Math.floor(pad / 2));
  const [top = 0, left = 0] = before;
  return { kernel, strides, pads: [top, left, (total[0] ?? 0) - top, (total[1] ?? 0) - left] };
}

const toFirst = [0, 3, 1, 2];
const toLast = [0, 2, 3, 1];

const dense: Operator = (graph, inputs, config, weight) => {
  const kernel = constant(graph, weight, 'kernel');
  const x = first(inputs);
  const product =
    x.shape.length === 2
      ? graph.gemm(x, kernel)
      : graph.node('MatMul', [x, kernel], [...x.shape.slice(0, -1), kernel.shape[1] ?? 0]);
  return config.use_bias === false ? product : graph.add(product, constant(graph, weight, 'bias'));
};

const conv2d: Operator = (graph, inputs, config, weight) => {
  const x = graph.transpose(first(inputs), toFirst);
  const kernel = graph.transpose(constant(graph, weight, 'kernel'), [3, 2, 0, 1]);
  const [height, width] = [Number(kernel.shape[2]), Number(kernel.shape[3])];
  const dilations = pair(config.dilation_rate, [1, 1]);
  const bias = config.use_bias === false ? undefined : constant(graph, weight, 'bias');
  const window = windowOf(x, [height, width], config, dilations, [1, 1]);
  return graph.transpose(graph.conv(x, kernel, bias, window, dilations), toLast);
};

const pool =
  (kind: 'max' | 'average'): Operator =>
  (graph, inputs, config) => {
    const x = graph.transpose(first(inputs), toFirst);
    const size = pair(config.pool_size, [2, 2]);
    const window = windowOf(x, size, config, [1, 1], size);
    const y = kind === 'max' ? graph.maxPool(x, window, false)[0] : graph.averagePool(x, window);
    return graph.transpose(y, toLast);
  };

const globalPool =
  (op: 'ReduceMean' | 'ReduceMax'): Operator =>
  (graph, inputs) => {
    const x = first(inputs);
    return graph.node(op, [x], [x.shape[0] ?? 1, x.shape[3] ?? 1], { axes: [1, 2], keepdims: 0 });
  };

const flatten: Operator = (graph, inputs) => {
  const x = first(inputs);
  const [rows = 1, ...rest] = x.shape;
  return graph.reshape(x, [rows, rest.reduce<number>((product, length) => product * Number(length), 1)]);
};

const reshape: Operator = (graph, inputs, config) => {
  const x = first(inputs);
  const given: unknown[] = Array.isArray(config.target_shape) ? config.target_shape : [];
  // Keras writes -1 for the length that follows from the others, TensorFlow.js null.
  const target = given.map((length) => (typeof length === 'number' ? length : -1));
  const all = x.shape.slice(1).reduce<number>((product, length) => product * Number(length), 1);
  const known = target.reduce((product, length) => (length < 0 ? product : product * length), 1);
  return graph.reshape(x, [x.shape[0] ?? 1, ...target.map((length) => (length < 0 ? all / known : length))]);
};

/** What it learned, as one factor and one summand for each channel. */
const batchNormalization: Operator = (graph, inputs, config, weight) => {
  const x = first(inputs);
  const axis = Number(Array.isArray(config.axis) ? config.axis[0] : (config.axis ?? -1));
  if (axis !== -1 && axis !== x.shape.length - 1)
    throw new StepError(
      'ML_UNSUPPORTED_MODEL',
      `BatchNormalization over axis ${axis} of the TensorFlow.js model is not supported`,
    );
  const [mean, variance] = [weight('moving_mean'), weight('moving_variance')];
  if (mean === undefined || variance === undefined)
    throw new StepError(
      'ML_INVALID_MODEL',
      'BatchNormalization of the TensorFlow.js model has no moving_mean or moving_variance',
    );
  const epsilon = typeof config.epsilon === 'number' ? config.epsilon : 1e-3;
  const [gamma, beta] = [weight('gamma'), weight('beta')];
  const scale = variance.data.map((value, at) => (gamma?.data[at] ?? 1) / Math.sqrt(value + epsilon));
  const shift = mean.data.map((value, at) => (beta?.data[at] ?? 0) - value * (scale[at] ?? 1));
  return graph.add(graph.mul(x, graph.constant(scale, mean.shape)), graph.constant(shift, mean.shape));
};

const same: Operator = (_, inputs) => first(inputs);

const merge =
  (op: 'add' | 'mul'): Operator =>
  (graph, inputs) =>
    inputs.slice(1).reduce<Value>((sum, value) => graph[op](sum, value), first(inputs));

const concatenate: Operator = (graph, inputs, config) => {
  const x = first(inputs);
  const axis = (Number(config.axis ?? -1) + x.shape.length) % x.shape.length;
  const length = inputs.reduce((sum, { shape }) => sum + Number(shape[axis]), 0);
  return graph.node('Concat', inputs, x.shape.with(axis, length), { axis });
};

/** Layers that are converted, by their class. Those that matter in training alone do nothing. */
export const operators: Readonly<Record<string, Operator>> = {
  Dense: dense,
  Conv2D: conv2d,
  MaxPooling2D: pool('max'),
  AveragePooling2D: pool('average'),
  GlobalAveragePooling2D: globalPool('ReduceMean'),
  GlobalMaxPooling2D: globalPool('ReduceMax'),
  Flatten: flatten,
  Reshape: reshape,
  BatchNormalization: batchNormalization,
  Activation: same,
  Dropout: same,
  SpatialDropout2D: same,
  GaussianNoise: same,
  GaussianDropout: same,
  ActivityRegularization: same,
  ReLU: (graph, inputs, config) =>
    typeof config.max_value === 'number'
      ? graph.node('Clip', [first(inputs), graph.scalar(0), graph.scalar(config.max_value)], first(inputs).shape)
      : graph.relu(first(inputs)),
  LeakyReLU: (graph, inputs, config) =>
    unary('LeakyRelu', { alpha: { float: typeof config.alpha === 'number' ? config.alpha : 0.3 } })(
      graph,
      first(inputs),
    ),
  Softmax: (graph, inputs, config) => {
    const x = first(inputs);
    if (config.axis !== undefined && config.axis !== -1 && config.axis !== x.shape.length - 1)
      throw new StepError(
        'ML_UNSUPPORTED_MODEL',
        `Softmax over axis ${JSON.stringify(config.axis)} of the TensorFlow.js model is not supported: only the last one is`,
      );
    return graph.softmax(x);
  },
  Add: merge('add'),
  Multiply: merge('mul'),
  Concatenate: concatenate,
};
