import { type BytesDeps, type BytesKind, findBytes } from '../../../kit/named-bytes.ts';
import { isStoredData } from '../../../kit/rows.ts';
import { storeBytes } from '../../../kit/stored-bytes.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { limits } from '../../../protocol/limits.ts';
import { readTrained, type TrainedModel, writeTrained } from './trained-model.ts';

const mediaType = 'application/onnx';

/** A model, or the output of a step that trained one. */
export async function modelAt(
  value: JSONValue,
  path: string,
  context: AdapterContext,
  deps: BytesDeps,
): Promise<TrainedModel> {
  const isOutput = isObject(value) && !isStoredData(value) && isObject(value.model);
  const bytes = isOutput ? ((value as JSONObject).model ?? null) : value;
  const kind: BytesKind = { noun: 'model', codes: 'MODEL', param: path, bytesMax: limits.blobBytesMax };
  const found = await findBytes(bytes, undefined, kind, context, deps);
  return readTrained(await found.read(), path);
}

/** `model`, stored, and its `labels`. */
export async function modelOutput(model: TrainedModel, context: AdapterContext): Promise<JSONObject> {
  const stored = await storeBytes([writeTrained(model)], undefined, mediaType, context);
  return {
    model: stored as unknown as JSONObject,
    ...(model.classes === undefined ? {} : { labels: model.classes }),
  };
}
