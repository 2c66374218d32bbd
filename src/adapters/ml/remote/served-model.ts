// What the model server answers of one model.
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { fitInputs, type ReadyModel, type RunDeps, runRows } from '../infer/run-model.ts';
import type { TensorInfo } from '../model/info.ts';
import { datatypeOf, decodeTensors, encodeTensors, parseMessage } from './codec.ts';
import { Refusal, type Reply } from './reply.ts';

export interface ServedModel extends ReadyModel {
  name: string;
}

/** What the protocol calls the model's metadata. */
export const metadata = ({ name, info, model }: ServedModel): JSONObject => ({
  name,
  versions: ['1'],
  platform: model.kind === 'onnx' ? 'onnxruntime_onnx' : 'tensorflowjs',
  inputs: info.inputs.map(tensorMetadata),
  outputs: info.outputs.map(tensorMetadata),
});

const tensorMetadata = ({ name, dtype, shape }: TensorInfo): JSONObject => ({
  name,
  datatype: datatypeOf(dtype),
  shape: (shape ?? [-1]).map((length) => (typeof length === 'number' ? length : -1)),
});

/**
 * Runs the model over the inputs of a request, together with the rows of others.
 * @param length header that says how much of the body is JSON
 * @throws Refusal, StepError
 */
export async function infer(
  model: ServedModel,
  body: Buffer,
  length: string | undefined,
  { deps, timeoutMs = 60_000 }: { deps: RunDeps; timeoutMs?: number },
): Promise<Reply> {
  const { json, tail } = parseMessage(body, length);
  const inputs = fitInputs(complete(await decodeTensors(json.inputs, tail, 'inputs'), model), model, 'inputs');
  const wanted = outputsOf(json.outputs ?? [], model);
  // A client that leaves ends nothing: stopping a run costs its process, and with it the warm model.
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new Refusal(504, `the model took longer than ${timeoutMs} ms`)), timeoutMs);
  const options = { batchSize: undefined, dynamicBatching: undefined, outputs: [...wanted.keys()] };
  const { outputs } = await runRows(model, inputs, options, deps, {
    signal: stop.signal,
    resources: {},
    progress: () => undefined,
  }).finally(() => clearTimeout(timer));
  const byDefault = isObject(json.parameters) && json.parameters.binary_data_output === true;
  const { entries, tail: bytes } = encodeTensors(outputs, (name) => wanted.get(name) ?? byDefault);
  const id: JSONObject = typeof json.id === 'string' ? { id: json.id } : {};
  return { status: 200, json: { model_name: model.name, model_version: '1', ...id, outputs: entries }, tail: bytes };
}

function complete<T>(inputs: Record<string, T>, { info }: ServedModel): Record<string, T> {
  const names = info.inputs.map(({ name }) => name);
  const absent = names.find((name) => !Object.hasOwn(inputs, name));
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (absent === undefined && unknown === undefined) return inputs;
  throw new Refusal(
    400,
    `${unknown === undefined ? `the input "${absent}" is missing` : `"${unknown}" is no input`}; the model's inputs are ${names.join(', ')}`,
  );
}

/** Outputs that are asked for, and whether as bytes; undefined: as is said for all. */
function outputsOf(list: JSONValue, { info }: ServedModel): Map<string, boolean | undefined> {
  if (!Array.isArray(list)) throw new Refusal(400, 'outputs must be a list');
  const names = info.outputs.map(({ name }) => name);
  return new Map(
    list.map((entry) => {
      const { name, parameters } = isObject(entry) ? entry : {};
      if (typeof name !== 'string' || !names.includes(name))
        throw new Refusal(
          400,
          `${JSON.stringify(name ?? null)} is no output; the model's outputs are ${names.join(', ')}`,
        );
      const binary = isObject(parameters) ? parameters.binary_data : undefined;
      return [name, typeof binary === 'boolean' ? binary : undefined];
    }),
  );
}
