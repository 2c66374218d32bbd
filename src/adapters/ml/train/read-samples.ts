import { isStoredData, readLines } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { limits } from '../../../protocol/limits.ts';
import { cast } from '../tensor/cast.ts';
import { readTensor } from '../tensor/from-json.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { FloatList } from './float-list.ts';

type Context = Pick<AdapterContext, 'blobs'>;
type Scalar = string | number | boolean;

/** Samples as they were given: labels are a value each, or numbers each. */
export interface RawSamples {
  count: number;
  x: Float32Array;
  /** Of one sample, as far as the data tell. */
  shape: number[];
  labels: { kind: 'scalars'; values: Scalar[] } | { kind: 'vectors'; values: Float32Array; width: number };
}

/** Which columns of rows with names are what. */
export interface Columns {
  label: string;
  /** Default: all others. */
  features: readonly string[] | undefined;
}

/**
 * Samples out of a param: a list of `{ features, label }`, `{ x, y }`, rows with names or rows whose last element is the label; `{ x, y }` with
 * all samples in tensors; rows that another step stored; or the output of such a step as it is (`rows`, `result`, `stored`).
 *
 * @param path of the param, for errors, which name the sample within
 * @throws StepError INVALID_PARAMS, ML_TENSOR_TOO_LARGE
 */
export async function readSamples(
  value: JSONValue,
  path: string,
  columns: Columns,
  context: Context,
): Promise<RawSamples> {
  const data = unwrapped(value);
  const collector = new Collector(path, columns);
  if (isStoredData(data)) {
    if (data.stored !== 'ndjson')
      throw refuse(path, 'is stored as bytes; give { "x": …, "y": … } with tensors instead');
    for await (const rows of readLines(data, context)) collector.add(rows);
  } else if (Array.isArray(data)) collector.add(data);
  else if (isObject(data)) return fromTensors(data as JSONObject, path, context);
  else throw refuse(path, 'must be a list of samples, or { "x": …, "y": … } with tensors');
  return collector.end();
}

/** Outputs of steps hold their rows under one of these names. */
function unwrapped(value: JSONValue): JSONValue {
  if (!isObject(value) || isStoredData(value)) return value;
  const { rows, stored, result } = value as JSONObject;
  const held = rows ?? stored ?? result;
  return Array.isArray(held) || isStoredData(held) ? held : (value as JSONObject);
}

async function fromTensors(data: JSONObject, path: string, context: Context): Promise<RawSamples> {
  const { x = data.features, y = data.labels ?? data.label } = data;
  if (x === undefined || y === undefined)
    throw refuse(path, 'must have "x" and "y" (or "features" and "labels") where it is an object');
  const features = cast(await readTensor(x, `${path}.x`, context, { dtype: 'float32' }), 'float32', `${path}.x`);
  const [count = 0, ...shape] = features.shape;
  const labels = labelsOf(await readTensor(y, `${path}.y`, context), `${path}.y`, count);
  return { count, x: features.data as Float32Array, shape: shape.length === 0 ? [1] : shape, labels };
}

function labelsOf(tensor: Tensor, path: string, count: number): RawSamples['labels'] {
  const { dtype, shape, data } = tensor;
  const [labels = 0, ...rest] = shape;
  if (labels !== count || count === 0) throw refuse(path, `has ${labels} labels for ${count} samples`);
  const width = sizeOf(rest);
  if (rest.length > 0 && width !== 1)
    return { kind: 'vectors', values: cast(tensor, 'float32', path).data as Float32Array, width };
  if (dtype === 'bool') return { kind: 'scalars', values: Array.from(data as Uint8Array, (value) => value !== 0) };
  if (dtype === 'string') return { kind: 'scalars', values: data as string[] };
  return { kind: 'scalars', values: Array.from(cast(tensor, 'float64', path).data as Float64Array) };
}

/** Takes samples one by one into lists that grow. */
class Collector {
  readonly #path: string;
  readonly #columns: Columns;
  readonly #x = new FloatList(limits.blobBytesMax);
  readonly #vectors = new FloatList(limits.blobBytesMax);
  readonly #scalars: Scalar[] = [];
  #shape: number[] | undefined;
  #width: number | undefined;
  #count = 0;

  constructor(path: string, columns: Columns) {
    this.#path = path;
    this.#columns = columns;
  }

  add(rows: readonly JSONValue[]): void {
    for (const row of rows) {
      const path = `${this.#path}[${this.#count}]`;
      const [features, label] = this.#parts(row, path);
      this.#addFeatures(features, path);
      this.#addLabel(label, path);
      this.#count += 1;
    }
  }

  end(): RawSamples {
    if (this.#count === 0) throw refuse(this.#path, 'has no samples');
    const labels: RawSamples['labels'] =
      this.#width === undefined
        ? { kind: 'scalars', values: this.#scalars }
        : { kind: 'vectors', values: this.#vectors.view(), width: this.#width };
    return { count: this.#count, x: this.#x.view(), shape: this.#shape ?? [1], labels };
  }

  #parts(row: JSONValue, path: string): [JSONValue, JSONValue] {
    if (Array.isArray(row)) {
      if (row.length < 2) throw refuse(path, 'must have features, and the label last');
      return [row.slice(0, -1), row.at(-1) ?? null];
    }
    if (!isObject(row)) throw refuse(path, 'must be a list of numbers with the label last, or an object');
    const fields = row as JSONObject;
    const label = fields[this.#columns.label] ?? fields.y;
    if (label === undefined || label === null)
      throw refuse(path, `has no "${this.#columns.label}": name it with params.label_column`);
    const features = fields.features ?? fields.x;
    if (features !== undefined && this.#columns.features === undefined) return [features, label];
    const names =
      this.#columns.features ??
      Object.keys(fields)
        .filter((name) => name !== this.#columns.label)
        .sort();
    return [names.map((name) => fields[name] ?? null), label];
  }

  #addFeatures(features: JSONValue, path: string): void {
    const shape = Array.isArray(features) ? this.#take(features, `${path}.features`) : this.#take([features], path);
    const known = this.#shape ?? shape;
    this.#shape = known;
    if (known.length !== shape.length || known.some((length, axis) => length !== shape[axis]))
      throw refuse(path, `has features of shape [${shape.join(', ')}], but those before have [${known.join(', ')}]`);
  }

  /** Puts lists of lists one after the other. @returns their shape */
  #take(list: readonly JSONValue[], path: string): number[] {
    const shape: number[] = [];
    for (const [index, value] of list.entries()) {
      if (Array.isArray(value)) {
        const inner = this.#take(value, `${path}[${index}]`);
        if (index === 0) shape.push(...inner);
        else if (inner.length !== shape.length || inner.some((length, axis) => length !== shape[axis]))
          throw refuse(`${path}[${index}]`, 'has another shape than those beside it');
        continue;
      }
      const number = typeof value === 'boolean' ? Number(value) : value;
      if (typeof number !== 'number' || shape.length > 0)
        throw refuse(
          `${path}[${index}]`,
          `must be a number, not ${JSON.stringify(value).slice(0, 60)}: leave columns out with params.feature_columns`,
        );
      if (!this.#x.push(number)) throw tooLarge(this.#path);
    }
    return [list.length, ...shape];
  }

  #addLabel(label: JSONValue, path: string): void {
    const isVector = Array.isArray(label);
    const width = isVector ? label.length : undefined;
    if (this.#count > 0 && width !== this.#width) throw refuse(`${path}.label`, 'has another form than those before');
    this.#width = width;
    for (const value of isVector ? label : []) {
      if (typeof value !== 'number') throw refuse(`${path}.label`, 'must be a list of numbers, or one value');
      if (!this.#vectors.push(value)) throw tooLarge(this.#path);
    }
    if (isVector) return;
    if (typeof label === 'object') throw refuse(`${path}.label`, 'must be a number, a text, or a list of numbers');
    this.#scalars.push(label);
  }
}

const refuse = (path: string, why: string): StepError => new StepError('INVALID_PARAMS', `${path} ${why}`);

const tooLarge = (path: string): StepError =>
  new StepError(
    'ML_TENSOR_TOO_LARGE',
    `${path} has more than the ${limits.blobBytesMax} bytes of numbers that are allowed`,
  );
