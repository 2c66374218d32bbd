// ml_infer and ml_batch for tests: real processes, models and blobs in memory.
import { after } from 'node:test';
import { mlBatch } from '../../../src/adapters/ml/infer/batch.ts';
import { Batcher } from '../../../src/adapters/ml/infer/batcher.ts';
import { type InferDeps, mlInfer } from '../../../src/adapters/ml/infer/infer.ts';
import { Runner } from '../../../src/adapters/ml/model/runner.ts';
import { Graph, type Shape } from '../../../src/adapters/ml/onnx/graph.ts';
import { encodeModel } from '../../../src/adapters/ml/onnx/model.ts';
import { Processes } from '../../../src/adapters/ml/process/processes.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { sha256 } from '../../../src/lib/hash.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import type { AdapterContext } from '../../../src/ports/adapter.ts';
import { contextFor } from '../../compliance/adapter.ts';

const processes = new Processes();
after(() => processes.close());
export const runner = new Runner(processes);
/** By the names that steps give. */
export const files = new Map<string, Uint8Array>();
export const deps: InferDeps = {
  processes,
  runner,
  batcher: new Batcher(runner),
  egress: createEgress(),
  assets: {
    places: ['models/'],
    async find(name) {
      const bytes = files.get(name);
      return bytes && { digest: sha256(bytes), size: bytes.length, read: async () => bytes };
    },
  },
};

/** A model that steps find by its name. */
export function fileOf(name: string, build: (graph: Graph) => void): void {
  const graph = new Graph();
  build(graph);
  files.set(name, encodeModel(graph));
}

/** A model that gives what it gets. */
export const mirrorOf = (name: string, input: string, shape: Shape): void =>
  fileOf(name, (graph) => graph.output('same', graph.identity(graph.input(input, shape))));

/** y = x times [[1, 2], [3, 4], [5, 6]] plus [10, 20] */
const linear = (rows: Shape[0]) => (graph: Graph) => {
  const x = graph.input('x', [rows, 3]);
  const weights = graph.constant(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
  graph.output('y', graph.gemm(x, weights, graph.constant(Float32Array.of(10, 20), [2])));
};
fileOf('linear.onnx', linear('batch'));
fileOf('one.onnx', linear(1));
fileOf('two.onnx', (graph) => {
  const [a, b] = [graph.input('a', ['n', 2]), graph.input('b', ['n', 2])];
  graph.output('sum', graph.add(a, b));
  graph.output('product', graph.mul(a, b));
});
mirrorOf('image.onnx', 'image', ['batch', 3, 2, 2]);
mirrorOf('rows.onnx', 'x', ['batch', 1024]);
fileOf('total.onnx', (graph) => {
  graph.output('total', graph.sum(graph.input('x', ['batch', 3]), [0], true));
});

export const contextOf = (others: Partial<AdapterContext> = {}): AdapterContext =>
  contextFor({ id: 'infer', type: 'ml_infer', params: {} }, undefined, others);
export const infer = (params: JSONObject, others: Partial<AdapterContext> = {}): Promise<JSONObject> =>
  mlInfer({ id: 'infer', type: 'ml_infer', params }, contextOf(others), deps);
/** Of `ml_infer`. */
export const resultOf = async (
  params: JSONObject,
  others: Partial<AdapterContext> = {},
): Promise<JSONValue | undefined> => (await infer(params, others)).result;

export const batch = (params: JSONObject, context = contextOf()): Promise<JSONObject> =>
  mlBatch({ id: 'batch', type: 'ml_batch', params }, context, deps);
