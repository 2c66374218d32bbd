// What this adapter writes and reads of ONNX models. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3

import { StepError } from '../../../lib/errors.ts';
import type { Attribute, ElementType, Graph, GraphNode, Shape, Value } from './graph.ts';
import { FieldBudget, MessageWriter, readFields } from './wire.ts';

/** Operators are those of version 17 of ONNX's own set, which every runtime since 2022 has. */
const opset = 17;
/** Version of the file format that belongs to it. */
const irVersion = 8;

/** ONNX's numbers of the element types that are used here. */
const elementTypes: Record<ElementType, number> = { float32: 1, int64: 7, bool: 9 };

/** The model as the bytes of a `.onnx` file. @param metadata texts that stand beside the graph, by key */
export function encodeModel(graph: Graph, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const model = new MessageWriter().int(1, irVersion).text(2, 'jsonflow').message(7, encodeGraph(graph));
  model.message(8, new MessageWriter().text(1, '').int(2, opset));
  for (const [key, value] of Object.entries(metadata))
    model.message(14, new MessageWriter().text(1, key).text(2, value));
  return model.finish();
}

function encodeGraph({ nodes, constants, inputs, outputs, names }: Graph): MessageWriter {
  const graph = new MessageWriter();
  const nameOf = (name: string): string => names.get(name) ?? name;
  for (const node of nodes) graph.message(1, encodeNode(node, nameOf));
  graph.text(2, 'jsonflow');
  for (const { value, data } of constants) graph.message(5, encodeTensor(value.name, value, data));
  for (const value of inputs) graph.message(11, encodeValue(value.name, value));
  for (const value of outputs) graph.message(12, encodeValue(nameOf(value.name), value));
  return graph;
}

function encodeNode({ op, inputs, outputs, attributes }: GraphNode, nameOf: (name: string) => string): MessageWriter {
  const node = new MessageWriter();
  for (const name of inputs) node.text(1, nameOf(name));
  for (const name of outputs) node.text(2, nameOf(name));
  node.text(4, op);
  for (const [name, value] of Object.entries(attributes)) node.message(5, encodeAttribute(name, value));
  return node;
}

function encodeAttribute(name: string, value: Attribute): MessageWriter {
  const attribute = new MessageWriter().text(1, name);
  if (typeof value === 'number') return attribute.int(3, value).int(20, 2);
  if (typeof value === 'string') return attribute.text(4, value).int(20, 3);
  if ('float' in value) return attribute.float(2, value.float).int(20, 1);
  for (const item of value) attribute.int(8, item);
  return attribute.int(20, 7);
}

function encodeTensor(name: string, { type, shape }: Value, data: Float32Array | BigInt64Array): MessageWriter {
  const tensor = new MessageWriter();
  for (const length of shape) tensor.int(1, Number(length));
  tensor.int(2, elementTypes[type]).text(8, name);
  return tensor.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function encodeValue(name: string, { type, shape }: Value): MessageWriter {
  const dimensions = new MessageWriter();
  for (const length of shape)
    dimensions.message(
      1,
      typeof length === 'number' ? new MessageWriter().int(1, length) : new MessageWriter().text(2, length),
    );
  const tensor = new MessageWriter().int(1, elementTypes[type]).message(2, dimensions);
  return new MessageWriter().text(1, name).message(2, new MessageWriter().message(1, tensor));
}

/** Constants and texts of a model. */
export interface ModelContents {
  metadata: Map<string, string>;
  /** Tensors of 32-bit floats by name; others are left out. */
  constants: Map<string, { shape: Shape; data: Float32Array }>;
}

/** Reads what stands beside the nodes of a model. @throws StepError ML_INVALID_MODEL */
export function readModel(bytes: Uint8Array): ModelContents {
  const contents: ModelContents = { metadata: new Map(), constants: new Map() };
  const budget = new FieldBudget();
  for (const { field, bytes: part } of readFields(bytes, budget)) {
    if (part === undefined) continue;
    if (field === 14) {
      const texts = new Map([...readFields(part, budget)].map((entry) => [entry.field, textOf(entry.bytes)]));
      contents.metadata.set(texts.get(1) ?? '', texts.get(2) ?? '');
    }
    if (field !== 7) continue;
    for (const entry of readFields(part, budget))
      if (entry.field === 5 && entry.bytes !== undefined) readTensor(entry.bytes, contents, budget);
  }
  return contents;
}

function readTensor(bytes: Uint8Array, { constants }: ModelContents, budget: FieldBudget): void {
  const shape: number[] = [];
  let [name, type]: [string, number] = ['', 0];
  let raw: Uint8Array | undefined;
  for (const { field, int, bytes: part } of readFields(bytes, budget)) {
    // Lengths stand one by one, or packed into one field.
    if (field === 1) {
      if ((part?.length ?? 0) > packedBytesMax) throw tooManyAxes();
      shape.push(...(part === undefined ? [Number(int)] : packed(part)));
      if (shape.length > axesMax) throw tooManyAxes();
    }
    if (field === 2) type = Number(int);
    if (field === 8) name = textOf(part);
    if (field === 9) raw = part;
  }
  if (type !== elementTypes.float32 || raw === undefined || raw.length % 4 !== 0) return;
  constants.set(name, { shape, data: new Float32Array(new Uint8Array(raw).buffer) });
}

const axesMax = 64;
/** Of a length: as a varint it has ten at most. */
const packedBytesMax = 10 * axesMax;
const tooManyAxes = (): StepError =>
  new StepError('ML_INVALID_MODEL', `a tensor of the model has more than ${axesMax} axes`);

/** Numbers one after the other in one field, as newer writers have them. */
function packed(bytes: Uint8Array): number[] {
  const numbers: number[] = [];
  let [value, shift] = [0, 1];
  for (const byte of bytes) {
    value += (byte & 0x7f) * shift;
    shift *= 128;
    if (byte < 0x80) {
      numbers.push(value);
      [value, shift] = [0, 1];
    }
  }
  return numbers;
}

const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
