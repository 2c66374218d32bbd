import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { areImages } from '../image/images.ts';
import type { Axis, ModelInfo, TensorInfo } from '../model/info.ts';
import { readTensor, type Wanted } from '../tensor/from-json.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * A model's inputs out of `params.input`: an object by the inputs' names, or the one input itself.
 * @param columns of rows that are objects: the elements of a row, in this order
 * @param asIs types and shapes are the preprocessing's affair
 * @param images reads `{ "image_file": … }` and lists of these
 * @throws StepError INVALID_PARAMS, ML_INPUT_MISMATCH, ML_TENSOR_TOO_LARGE
 */
export async function readInputs(
  input: JSONValue,
  columns: readonly string[] | undefined,
  { inputs }: ModelInfo,
  context: Pick<AdapterContext, 'blobs'>,
  asIs: boolean,
  path: string,
  images: (value: JSONValue, path: string, info: TensorInfo) => Promise<Tensor>,
): Promise<Record<string, Tensor>> {
  const byName = namedInputs(columns === undefined ? gathered(input, inputs, path) : input, inputs, path);
  const tensors: Record<string, Tensor> = {};
  for (const { info, value, path: place } of byName) {
    if (areImages(value)) {
      tensors[info.name] = await images(value, place, info);
      continue;
    }
    const rows = columns === undefined ? value : rowsByColumns(value, columns, place);
    tensors[info.name] = await readTensor(rows, place, context, asIs ? {} : wantedOf(info));
  }
  return tensors;
}

/**
 * Inputs for a server that doesn't say what its model takes: as the step names and types them.
 * @throws StepError INVALID_PARAMS, ML_INPUT_MISMATCH, ML_TENSOR_TOO_LARGE
 */
export async function inputsAsNamed(
  input: JSONValue,
  context: Pick<AdapterContext, 'blobs'>,
  path: string,
): Promise<Record<string, Tensor>> {
  const [first] = Array.isArray(input) ? input : [];
  const named = isObject(first) ? listsOf(input as JSONValue[], Object.keys(first), path) : input;
  if (!isObject(named) || tensorKeys.some((key) => Object.hasOwn(named, key)))
    throw new StepError(
      'ML_INPUT_MISMATCH',
      `the server doesn't say what the model takes: give ${path} as an object with a tensor for each input by its name, such as { "x": { "shape", "dtype", "data" } }`,
    );
  const entries = Object.entries(named as JSONObject).map(
    async ([name, value]) => [name, await readTensor(value, `${path}.${name}`, context)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** Bytes without a shape fill the one axis that is open. */
export function wantedOf({ dtype, shape }: TensorInfo): Wanted {
  const open = (length: Axis): boolean => typeof length === 'string' || length < 0;
  if (shape === undefined || shape.filter(open).length > 1) return { dtype };
  return { dtype, shape: shape.map((length) => (typeof length === 'number' ? length : -1)) };
}

interface NamedInput {
  info: TensorInfo;
  value: JSONValue;
  path: string;
}

const tensorKeys = ['data', 'base64', 'stored', 'image_file'];

function namedInputs(input: JSONValue, inputs: readonly TensorInfo[], path: string): NamedInput[] {
  const names = inputs.map(({ name }) => name);
  const [only] = inputs;
  const isNamed =
    isObject(input) &&
    (Object.keys(input).some((key) => names.includes(key)) || !tensorKeys.some((key) => Object.hasOwn(input, key)));
  if (!isNamed) {
    if (only !== undefined && inputs.length === 1) return [{ info: only, value: input, path }];
    throw new StepError(
      'ML_INPUT_MISMATCH',
      `the model has the inputs ${names.join(', ')}: give ${path} as an object with a tensor for each`,
    );
  }
  const object = input as JSONObject;
  const unknown = Object.keys(object).find((key) => !names.includes(key));
  const absent = names.find((name) => !Object.hasOwn(object, name));
  if (unknown !== undefined || absent !== undefined)
    throw new StepError(
      'ML_INPUT_MISMATCH',
      `${unknown === undefined ? `${path}.${absent} is missing` : `${path}.${unknown} is no input of the model`}; its inputs are ${names.join(', ')}`,
    );
  return inputs.map((info) => ({ info, value: object[info.name] ?? null, path: `${path}.${info.name}` }));
}

/** Rows that are objects with a value for each input, as a list for each input; what else a row holds is passed over. */
function gathered(input: JSONValue, inputs: readonly TensorInfo[], path: string): JSONValue {
  if (!Array.isArray(input) || !isObject(input[0]) || areImages(input)) return input;
  const [only] = inputs;
  if (only !== undefined && inputs.length === 1 && !Object.hasOwn(input[0], only.name))
    throw new StepError(
      'INVALID_PARAMS',
      `${path}[0] is an object without "${only.name}", the model's input: name in params.columns which of its values make a row`,
    );
  return listsOf(
    input,
    inputs.map(({ name }) => name),
    path,
  );
}

/** Of each name the rows' values. */
function listsOf(rows: readonly JSONValue[], names: readonly string[], path: string): JSONObject {
  const listOf = (name: string): JSONValue =>
    rows.map((row, index) => {
      if (isObject(row) && Object.hasOwn(row, name)) return row[name] as JSONValue;
      throw new StepError('INVALID_PARAMS', `${path}[${index}] has no "${name}", which is an input of the model`);
    });
  return Object.fromEntries(names.map((name) => [name, listOf(name)]));
}

/** Objects, such as rows of a database, as lists of the columns' values. */
function rowsByColumns(value: JSONValue, columns: readonly string[], path: string): JSONValue {
  if (!Array.isArray(value))
    throw new StepError('INVALID_PARAMS', `${path} must be a list of objects, for params.columns is given`);
  return value.map((row, index) => {
    if (!isObject(row))
      throw new StepError('INVALID_PARAMS', `${path}[${index}] must be an object, for params.columns is given`);
    return columns.map((column) => {
      if (!Object.hasOwn(row, column))
        throw new StepError('INVALID_PARAMS', `${path}[${index}] has no "${column}", which params.columns names`);
      return row[column] as JSONValue;
    });
  });
}
