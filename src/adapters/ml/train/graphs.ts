import { assert } from '../../../lib/assert.ts';
import { elementsOf, Graph, type Value } from '../onnx/graph.ts';
import { encodeModel } from '../onnx/model.ts';
import { lossBuilders, sampleWeights, takesActivation } from './losses.ts';
import type { Built, Gradients, Mode, Parameter } from './net/layer.ts';
import type { Net } from './net/parse.ts';
import { buildUpdate, clipped, feedsOf, type Optimizer, slotsOf } from './optimizers.ts';

/** How features are made small numbers, within the model: `(x − mean) / deviation`, per feature or channel. */
export interface Scaling {
  mean: Float32Array;
  deviation: Float32Array;
}

/** What belongs to a net in a model: parameters by name, and how features are scaled. */
export interface Weights {
  parameters: ReadonlyMap<string, Float32Array>;
  scaling: Scaling | undefined;
}

/** A parameter of a net; its name is unique there. */
export type NamedParameter = Parameter & { readonly layer: number; readonly id: string };

export const parametersOf = ({ layers }: Net): NamedParameter[] =>
  layers.flatMap(({ parameters, kind }, layer) =>
    parameters.map((parameter) => ({ ...parameter, layer, id: `${layer}.${kind}.${parameter.name}` })),
  );

/** An input for the noise of one dropout layer. */
interface Mask {
  name: string;
  rate: number;
  /** Numbers a sample. */
  size: number;
  shape: readonly number[];
}

export interface TrainingGraph {
  model: Uint8Array;
  masks: Mask[];
  /** Names of what goes from step to step: the input `name`, and the output `next.name`. */
  states: { name: string; shape: readonly number[]; initial: 'parameter' | 'zeros' }[];
}

export const scalingMean = 'scaling.mean';
export const scalingDeviation = 'scaling.deviation';

/** What else a step of the training follows from. */
export interface TrainingOptions {
  optimizer: Optimizer;
  l2: number;
  clipNorm?: number | undefined;
  classWeights?: Float32Array | undefined;
}

/**
 * One step of training as an ONNX graph: forward, backward, update. Inputs: `x`, `t` (labels), `inverse_batch`, numbers of the optimizer,
 * masks, and the states; outputs: `loss` and `metric`, summed over the batch, and the next states.
 */
export function buildTraining(net: Net, scaling: Scaling | undefined, options: TrainingOptions): TrainingGraph {
  const { optimizer, l2, clipNorm, classWeights } = options;
  const g = new Graph();
  const masks: Mask[] = [];
  const x = scaled(g, g.input('x', ['batch', ...net.input]), scaling);
  const t = g.input('t', ['batch', net.outputs]);
  const inverseBatch = g.input('inverse_batch', []);
  const numbers = new Map(Object.keys(feedsOf(optimizer, 1)).map((name) => [name, g.input(name, [])]));
  const parameters = parametersOf(net);
  const inputs = new Map(parameters.map(({ id, shape }) => [id, g.input(id, shape)]));
  const mode: Mode = {
    kind: 'training',
    inverseBatch,
    mask(rate, shape) {
      const name = `mask.${masks.length}`;
      masks.push({ name, rate, size: elementsOf(shape), shape });
      return g.input(name, ['batch', ...shape]);
    },
  };
  const built = buildLayers(g, net, x, inputs, mode);
  const weight = classWeights && sampleWeights(g, t, classWeights);
  const { loss, metric, gradient } = lossBuilders[net.loss](g, outputOf(built, x), t, weight);
  g.output('loss', loss);
  g.output('metric', metric);
  const plain = decayed(g, backward(net, built, gradient(inverseBatch)), parameters, inputs, l2);
  const gradients = clipNorm === undefined ? plain : clipped(g, plain, clipNorm);
  const states: TrainingGraph['states'] = [];
  const keep = (name: string, shape: readonly number[], initial: 'parameter' | 'zeros', next: Value): void => {
    states.push({ name, shape, initial });
    g.output(`next.${name}`, next);
  };
  for (const { id, name, layer, shape, trained } of parameters) {
    if (!trained) {
      const update = built[layer]?.updates?.[name];
      assert(update !== undefined, `${id} is updated`);
      keep(id, shape, 'parameter', update);
      continue;
    }
    const slots = slotsOf(optimizer);
    const before = slots.map((slot) => g.input(`${slot}.${id}`, shape));
    const next = buildUpdate(g, optimizer, known(inputs, id), known(gradients, id), before, (number) =>
      known(numbers, number),
    );
    keep(id, shape, 'parameter', next.weight);
    for (const [index, slot] of slots.entries())
      keep(`${slot}.${id}`, shape, 'zeros', known(new Map(next.slots.entries()), index));
  }
  return { model: encodeModel(g), masks, states };
}

/** Loss and metric of a batch, summed, as they are after the training. Inputs: `x`, `t` and the parameters. */
export function buildEvaluation(net: Net, scaling: Scaling | undefined): Uint8Array {
  const g = new Graph();
  const x = scaled(g, g.input('x', ['batch', ...net.input]), scaling);
  const t = g.input('t', ['batch', net.outputs]);
  const inputs = new Map(parametersOf(net).map(({ id, shape }) => [id, g.input(id, shape)]));
  const built = buildLayers(g, net, x, inputs, { kind: 'inference' });
  const { loss, metric } = lossBuilders[net.loss](g, outputOf(built, x), t);
  g.output('loss', loss);
  g.output('metric', metric);
  return encodeModel(g);
}

/** The model for others: `input` to `output`, with the weights in it. @param metadata texts beside the graph */
export function buildModel(
  net: Net,
  { parameters, scaling }: Weights,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const g = new Graph();
  const input = g.input('input', ['batch', ...net.input]);
  const constants = new Map(
    parametersOf(net).map(({ id, shape }) => [id, g.constant(known(parameters, id), shape, id)]),
  );
  let x = scaled(g, input, scaling);
  for (const [index, layer] of net.layers.entries())
    x = layer.build(g, x, (name) => known(constants, `${index}.${layer.kind}.${name}`), { kind: 'inference' }).output;
  g.output('output', tellsTwoApart(net) ? bothOf(g, x) : x);
  return encodeModel(g, metadata);
}

/** One output is the probability of the second class; as `labels` has both, so has the model. */
const tellsTwoApart = ({ loss, outputs }: Net): boolean => loss === 'binary_cross_entropy' && outputs === 1;

const bothOf = (g: Graph, second: Value): Value =>
  g.add(g.mul(second, g.constant(Float32Array.of(-1, 1), [1, 2])), g.constant(Float32Array.of(1, 0), [1, 2]));

function scaled(g: Graph, x: Value, scaling: Scaling | undefined): Value {
  if (scaling === undefined) return x;
  const { mean, deviation } = scaling;
  const shape = [mean.length, ...x.shape.slice(2).map(() => 1)];
  return g.div(g.sub(x, g.constant(mean, shape, scalingMean)), g.constant(deviation, shape, scalingDeviation));
}

/** All layers, but for the last activation where the loss takes it along. */
function buildLayers(g: Graph, net: Net, x: Value, inputs: ReadonlyMap<string, Value>, mode: Mode): Built[] {
  const layers = takesActivation(net.loss) ? net.layers.slice(0, -1) : net.layers;
  let value = x;
  return layers.map((layer, index) => {
    const built = layer.build(g, value, (name) => known(inputs, `${index}.${layer.kind}.${name}`), mode);
    value = built.output;
    return built;
  });
}

const outputOf = (built: readonly Built[], input: Value): Value => built.at(-1)?.output ?? input;

/** Gradients of the trained parameters, from the last layer back to the first that has some. */
function backward({ layers }: Net, built: readonly Built[], gradient: Value): Map<string, Value> {
  const gradients = new Map<string, Value>();
  const first = layers.findIndex(({ parameters }) => parameters.length > 0);
  let by: Value | undefined = gradient;
  for (let index = built.length - 1; index >= first && by !== undefined; index--) {
    const layer = layers[index];
    const part: Gradients | undefined = built[index]?.backward(by, index > first);
    for (const [name, value] of Object.entries(part?.parameters ?? {}))
      gradients.set(`${index}.${layer?.kind}.${name}`, value);
    by = part?.input;
  }
  return gradients;
}

/** Gradients with that of the L2 regularization. @param values of the parameters */
const decayed = (
  g: Graph,
  gradients: ReadonlyMap<string, Value>,
  parameters: readonly NamedParameter[],
  values: ReadonlyMap<string, Value>,
  l2: number,
): Map<string, Value> =>
  new Map(
    parameters
      .filter(({ trained }) => trained)
      .map(({ id, decays }) => {
        const own = known(gradients, id);
        return [id, decays && l2 > 0 ? g.add(own, g.mul(known(values, id), g.scalar(l2))) : own];
      }),
  );

function known<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  assert(value !== undefined, `${String(key)} is there`);
  return value;
}
