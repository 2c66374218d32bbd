import {
  type BytesContext,
  type BytesDeps,
  type BytesKind,
  findBytes,
  type NamedBytes,
} from '../../../kit/named-bytes.ts';
import { StepError } from '../../../lib/errors.ts';
import { sha256 } from '../../../lib/hash.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { limits } from '../../../protocol/limits.ts';
import type { TfjsParts } from './messages.ts';
import type { Model } from './runner.ts';
import { convertLayers, whyNotConverted } from './tfjs-layers.ts';
import { parseModelJSON, type TfjsModel, weightsOf } from './tfjs-weights.ts';

const bytesMax = limits.blobBytesMax;
const kindOf = (param: string): BytesKind => ({ noun: 'model', codes: 'MODEL', param, bytesMax });
/** Files that the weights of one model may be divided into. */
const shardsMax = 1000;

/**
 * A TensorFlow.js model: `model.json` with the files that its manifest names beside it; or the value is `{ json, weights }`, each found like any
 * model is. Layers models become ONNX ones where every layer can; others, and graph models,
 * are run by TensorFlow.js.
 *
 * @throws StepError as `findModel`
 */
export async function findTfjsModel(
  value: JSONValue,
  digest: string | undefined,
  context: BytesContext,
  deps: BytesDeps,
): Promise<Model> {
  const parts = isObject(value) && value.json !== undefined ? (value as JSONObject) : undefined;
  const found = await findBytes(parts?.json ?? value, digest, kindOf('params.model'), context, deps);
  const json = await found.read();
  const model = parseModelJSON(json, found.name);
  const shards =
    parts === undefined
      ? await shardsBeside(value, model, context, deps)
      : [await findBytes(parts.weights ?? null, undefined, kindOf('params.model.weights'), context, deps)];
  const key = sha256([found.digest, ...shards.map((shard) => shard.digest)].join());
  const { name } = found;
  const read = async (): Promise<TfjsParts> => ({ json, weights: await readShards(shards) });
  // What has no counterpart in ONNX is run by TensorFlow.js itself.
  if (model.format === 'graph' || whyNotConverted(model.topology) !== undefined)
    return { kind: 'tfjs', name, digest: found.digest, key: `tfjs:${key}`, read };
  return {
    kind: 'onnx',
    name,
    digest: found.digest,
    key: `tfjs-layers:${key}`,
    read: async () => convertLayers(model.topology, weightsOf(model, (await read()).weights)),
  };
}

/** The files of the manifest, named as the model is. */
async function shardsBeside(
  value: JSONValue,
  { paths }: TfjsModel,
  context: BytesContext,
  deps: BytesDeps,
): Promise<NamedBytes[]> {
  if (paths.length === 0) return [];
  if (typeof value !== 'string' || /^sha256:/.test(value))
    throw new StepError(
      'INVALID_PARAMS',
      'params.model must name the file model.json, so that its weights are found beside it; or be { "json": …, "weights": … }',
    );
  if (paths.length > shardsMax)
    throw new StepError('MODEL_TOO_LARGE', `the model has ${paths.length} files; at most ${shardsMax} are allowed`);
  const found: NamedBytes[] = [];
  for (const path of paths)
    found.push(await findBytes(beside(value, path), undefined, kindOf('params.model'), context, deps));
  return found;
}

/** @param path within the model's own folder */
function beside(name: string, path: string): string {
  if (!/^[A-Za-z0-9_][\w .-]*(?:\/[A-Za-z0-9_][\w .-]*)*$/.test(path))
    throw new StepError(
      'ML_INVALID_MODEL',
      `the model names the file ${JSON.stringify(path)}, which can't be one of its own`,
    );
  const url = URL.parse(name);
  return url === null ? name.replace(/[^/]*$/, path) : new URL(path, url).href;
}

async function readShards(shards: readonly NamedBytes[]): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const shard of shards) {
    const bytes = await shard.read();
    size += bytes.length;
    if (size > bytesMax)
      throw new StepError(
        'MODEL_TOO_LARGE',
        `the model's weights have more than the ${bytesMax} bytes that are allowed`,
      );
    parts.push(bytes);
  }
  return Buffer.concat(parts, size);
}
