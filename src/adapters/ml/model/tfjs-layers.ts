import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import { Graph, type Shape, type Value } from '../onnx/graph.ts';
import { encodeModel } from '../onnx/model.ts';
import { activation, operators } from './tfjs-operators.ts';
import type { Weights } from './tfjs-weights.ts';

/** A layer of a model, with the names of those whose outputs it takes. */
interface Layer {
  kind: string;
  name: string;
  config: JSONObject;
  from: string[];
}

interface Net {
  layers: Layer[];
  outputs: string[];
}

const invalid = (why: string): StepError => new StepError('ML_INVALID_MODEL', `the TensorFlow.js model ${why}`);

/**
 * The first thing in a layers model that has no counterpart here; undefined where `convertLayers` can convert it.
 * @throws StepError ML_INVALID_MODEL
 */
export function whyNotConverted(topology: JSONObject): string | undefined {
  const model = modelOf(topology);
  const kind = String(model.class_name);
  if (!['Sequential', 'Functional', 'Model'].includes(kind)) return `a model of the kind ${kind}`;
  if (usesLayerTwice(model)) return 'a layer that is used more than once';
  for (const { kind: layer, name, config } of netOf(model).layers) {
    if (layer === 'InputLayer') {
      if (
        inputShape(config)
          ?.slice(1)
          .some((length) => typeof length !== 'number')
      )
        return `inputs of any size ("${name}")`;
    } else if (!Object.hasOwn(operators, layer)) return `the layer ${layer} ("${name}")`;
    if (config.data_format === 'channels_first') return `channels first ("${name}")`;
    const called = config.activation;
    if (typeof called === 'string' && activation(called) === undefined) return `the activation ${called} ("${name}")`;
  }
  return undefined;
}

/**
 * A layers model as an ONNX model with the same inputs and outputs, named as their layers are; images stay channels last.
 * Formats: https://github.com/tensorflow/tfjs/tree/master/tfjs-layers
 *
 * @throws StepError ML_INVALID_MODEL, ML_UNSUPPORTED_MODEL
 */
export function convertLayers(topology: JSONObject, weights: Weights): Uint8Array {
  const why = whyNotConverted(topology);
  if (why !== undefined)
    throw new StepError('ML_UNSUPPORTED_MODEL', `the TensorFlow.js model has ${why}, which can't be converted`);
  const { layers, outputs } = netOf(modelOf(topology));
  const graph = new Graph();
  const values = new Map<string, Value>();
  for (const layer of layers) values.set(layer.name, convert(graph, layer, values, weights));
  for (const name of outputs) graph.output(outputName(name, graph), graph.identity(valueNamed(name, values)));
  return encodeModel(graph);
}

/** No output may be called as an input is. */
const outputName = (name: string, { inputs }: Graph): string =>
  inputs.some((input) => input.name === name) ? `${name}_output` : name;

function valueNamed(name: string, values: ReadonlyMap<string, Value>): Value {
  const value = values.get(name);
  if (value === undefined) throw invalid(`uses the layer "${name}" before it is there`);
  return value;
}

function convert(graph: Graph, layer: Layer, values: ReadonlyMap<string, Value>, weights: Weights): Value {
  const { kind, name, config, from } = layer;
  if (kind === 'InputLayer') return graph.input(name, inputShape(config) ?? ['batch']);
  const operator = operators[kind];
  const inputs = from.map((source) => valueNamed(source, values));
  if (operator === undefined || inputs.length === 0) throw invalid(`has a layer "${name}" without an input`);
  const weight = (suffix: string) => {
    const found = [...weights].find(([key]) => key === `${name}/${suffix}` || key.endsWith(`/${name}/${suffix}`));
    return found?.[1];
  };
  try {
    const value = operator(graph, inputs, config, weight);
    return typeof config.activation === 'string' ? (activation(config.activation)?.(graph, value) ?? value) : value;
  } catch (thrown) {
    if (thrown instanceof StepError) throw thrown;
    // The graph's own checks: shapes that don't go together.
    throw new StepError(
      'ML_INVALID_MODEL',
      `the TensorFlow.js model's layer "${name}" (${kind}) doesn't fit its weights or inputs`,
      {
        cause: thrown,
      },
    );
  }
}

function modelOf(topology: JSONObject): JSONObject {
  const model = isObject(topology.model_config) ? topology.model_config : topology;
  if (model.config === undefined) throw invalid('has no config');
  return model as JSONObject;
}

function netOf({ class_name: kind, config }: JSONObject): Net {
  const list = Array.isArray(config) ? config : isObject(config) ? config.layers : undefined;
  if (!Array.isArray(list)) throw invalid('has no layers');
  const entries = list.map((entry) => {
    if (!isObject(entry) || typeof entry.class_name !== 'string' || !isObject(entry.config))
      throw invalid('has a layer without a config');
    const own = entry.config as JSONObject;
    return { entry: entry as JSONObject, kind: entry.class_name, name: String(entry.name ?? own.name), config: own };
  });
  if (kind === 'Sequential') return sequential(entries);
  const layers = entries.map(({ entry, ...layer }): Layer => ({ ...layer, from: sources(entry.inbound_nodes) }));
  const outputs = isObject(config) ? sources([config.output_layers]) : [];
  if (outputs.length === 0) throw invalid('has no outputs');
  return { layers: inOrder(layers), outputs };
}

/** The first layer tells the shape of the input, where it is no input itself. */
function sequential(entries: Omit<Layer, 'from'>[]): Net {
  const [first] = entries;
  const layers: Layer[] = [];
  if (first !== undefined && first.kind !== 'InputLayer')
    layers.push({ kind: 'InputLayer', name: `${first.name}_input`, config: first.config, from: [] });
  for (const { kind, name, config } of entries)
    layers.push({ kind, name, config, from: layers.length === 0 ? [] : [layers.at(-1)?.name ?? ''] });
  return { layers, outputs: [layers.at(-1)?.name ?? ''] };
}

/** Each use of a layer is a node. */
function usesLayerTwice({ config }: JSONObject): boolean {
  const layers: unknown[] = isObject(config) && Array.isArray(config.layers) ? config.layers : [];
  return layers.some(
    (layer) => isObject(layer) && Array.isArray(layer.inbound_nodes) && layer.inbound_nodes.length > 1,
  );
}

/** Names in `[[["conv", 0, 0, {}], …]]`. */
function sources(nodes: unknown): string[] {
  if (!Array.isArray(nodes) || nodes.length === 0) return [];
  const [node] = nodes as unknown[];
  if (!Array.isArray(node)) return [];
  const list: unknown[] = typeof node[0] === 'string' ? [node] : node;
  return list.map((source) => (Array.isArray(source) ? String(source[0]) : ''));
}

function inOrder(layers: readonly Layer[]): Layer[] {
  const done = new Set<string>();
  const ordered: Layer[] = [];
  let left = [...layers];
  while (left.length > 0) {
    const ready = left.filter(({ from }) => from.every((name) => done.has(name)));
    if (ready.length === 0) throw invalid('has layers that wait for each other');
    for (const layer of ready) done.add(layer.name);
    ordered.push(...ready);
    left = left.filter(({ name }) => !done.has(name));
  }
  return ordered;
}

function inputShape(config: JSONObject): Shape | undefined {
  const shape = config.batch_input_shape ?? config.batch_shape;
  if (!Array.isArray(shape)) return undefined;
  return shape.map((length, axis) => (typeof length === 'number' && axis > 0 ? length : axis === 0 ? 'batch' : '?'));
}
