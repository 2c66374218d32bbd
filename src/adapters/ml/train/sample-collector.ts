import { setImmediate as turn } from 'node:timers/promises';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { limits } from '../../../protocol/limits.ts';
import { FloatList } from './float-list.ts';

type Scalar = string | number | boolean;

/** Rows that are read before others of the node get their turn. */
const rowsPerTurn = 5_000;
const axesMax = 4;

/** Samples as they were given: labels are a value each, or numbers each. */
export interface RawSamples {
  count: number;
  x: Float32Array;
  /** Of one sample, as far as the data tell. */
  shape: number[];
  labels: { kind: 'scalars'; values: Scalar[] } | { kind: 'vectors'; values: Float32Array; width: number };
}

/** Which columns of rows with names are what, where params say so. */
export interface Columns {
  /** Default: `label`, or `y` where there is none. */
  label: string | undefined;
  /** Default: all others. */
  features: readonly string[] | undefined;
}

/** @throws StepError INVALID_PARAMS where no net could take the samples */
export function checked(raw: RawSamples, path: string): RawSamples {
  const { count, x, shape, labels } = raw;
  if (count === 0) throw refuse(path, 'has no samples');
  if (x.length === 0) throw refuse(path, 'has samples without features');
  if (shape.length > axesMax)
    throw refuse(path, `has samples of ${shape.length} axes, [${shape.join(', ')}]; at most ${axesMax} are allowed`);
  if (labels.kind === 'vectors' && labels.width === 0) throw refuse(path, 'has empty lists for labels');
  return raw;
}

/** Where rows that are objects have what: a list of features in one place, or each in its own. */
interface Form {
  label: string;
  features: string | readonly string[];
}

/** Takes samples one by one into lists that grow. */
export class SampleCollector {
  readonly #path: string;
  readonly #columns: Columns;
  readonly #x = new FloatList(limits.blobBytesMax);
  readonly #vectors = new FloatList(limits.blobBytesMax);
  readonly #scalars: Scalar[] = [];
  #form: Form | undefined;
  #shape: number[] | undefined;
  #width: number | undefined;
  #count = 0;

  constructor(path: string, columns: Columns) {
    this.#path = path;
    this.#columns = columns;
  }

  async add(rows: readonly JSONValue[], signal: AbortSignal): Promise<void> {
    for (let from = 0; from < rows.length; from += rowsPerTurn) {
      for (const row of rows.slice(from, from + rowsPerTurn)) this.#addRow(row);
      await turn();
      signal.throwIfAborted();
    }
  }

  end(): RawSamples {
    const labels: RawSamples['labels'] =
      this.#width === undefined
        ? { kind: 'scalars', values: this.#scalars }
        : { kind: 'vectors', values: this.#vectors.view(), width: this.#width };
    return checked({ count: this.#count, x: this.#x.view(), shape: this.#shape ?? [1], labels }, this.#path);
  }

  #addRow(row: JSONValue): void {
    const path = `${this.#path}[${this.#count}]`;
    if (Array.isArray(row)) {
      if (row.length < 2) throw refuse(path, 'must have features, and the label last');
      this.#addFeatures(row.slice(0, -1), path);
      this.#addLabel(row.at(-1) ?? null, `${path}[${row.length - 1}]`);
    } else if (isObject(row)) this.#addObject(row as JSONObject, path);
    else throw refuse(path, 'must be a list of numbers with the label last, or an object');
    this.#count += 1;
  }

  #addObject(row: JSONObject, path: string): void {
    const form = this.#form ?? this.#formOf(row, path);
    this.#form = form;
    const { label, features } = form;
    const value = (name: string): JSONValue => {
      const own = Object.hasOwn(row, name) ? row[name] : undefined;
      if (own === undefined)
        throw refuse(path, `has no ${JSON.stringify(name)}${this.#count > 0 ? ', which those before have' : ''}`);
      return own;
    };
    if (typeof features === 'string') {
      const list = value(features);
      this.#addFeatures(Array.isArray(list) ? list : [list], `${path}.${features}`);
    } else {
      if (this.#columns.features === undefined && Object.keys(row).length !== features.length + 1) {
        const other = Object.keys(row).find((name) => name !== label && !features.includes(name));
        if (other !== undefined)
          throw refuse(
            path,
            `has ${JSON.stringify(other)}, which those before don't have: say with params.feature_columns what counts`,
          );
      }
      this.#addFeatures(features.map(value), path, features);
    }
    this.#addLabel(value(label), `${path}.${label}`);
  }

  /** The first object tells; the others must be alike. */
  #formOf(row: JSONObject, path: string): Form {
    const { label: stated, features } = this.#columns;
    const label = (stated === undefined ? ['label', 'y'] : [stated]).find((name) => Object.hasOwn(row, name));
    if (label === undefined)
      throw refuse(path, `has no "${stated ?? 'label'}": name the label's column with params.label_column`);
    if (features?.includes(label))
      throw refuse('params.feature_columns', `names ${JSON.stringify(label)}, which is the label`);
    if (features !== undefined) return { label, features };
    const list = ['features', 'x'].find((name) => name !== label && Array.isArray(row[name]));
    const others = () =>
      Object.keys(row)
        .filter((name) => name !== label)
        .sort();
    return { label, features: list ?? others() };
  }

  /** @param names of the features, where they have some, for errors */
  #addFeatures(features: readonly JSONValue[], path: string, names?: readonly string[]): void {
    const shape = this.#take(features, path, names);
    const known = this.#shape ?? shape;
    this.#shape = known;
    if (known.length !== shape.length || known.some((length, axis) => length !== shape[axis]))
      throw refuse(path, `has features of shape [${shape.join(', ')}], but those before have [${known.join(', ')}]`);
  }

  /** Puts lists of lists one after the other. @returns their shape */
  #take(list: readonly JSONValue[], path: string, names?: readonly string[]): number[] {
    const shape: number[] = [];
    const place = (index: number): string => (names === undefined ? `${path}[${index}]` : `${path}.${names[index]}`);
    for (const [index, value] of list.entries()) {
      if (Array.isArray(value)) {
        const inner = this.#take(value, place(index));
        if (index === 0) shape.push(...inner);
        else if (inner.length !== shape.length || inner.some((length, axis) => length !== shape[axis]))
          throw refuse(place(index), 'has another shape than those beside it');
        continue;
      }
      const number = typeof value === 'boolean' ? Number(value) : value;
      if (typeof number !== 'number')
        throw refuse(
          place(index),
          `must be a number, not ${JSON.stringify(value).slice(0, 60)}: ${value === null ? 'fill in what is missing, or leave the sample out' : 'leave columns out with params.feature_columns'}`,
        );
      if (shape.length > 0) throw refuse(place(index), 'is a number, and those beside it are lists');
      if (!this.#x.push(number)) throw tooLarge(this.#path);
    }
    return [list.length, ...shape];
  }

  /** A list of one number is that number. */
  #addLabel(given: JSONValue, path: string): void {
    const label = Array.isArray(given) && given.length === 1 ? (given[0] ?? null) : given;
    const isVector = Array.isArray(label);
    const width = isVector ? label.length : undefined;
    if (this.#count > 0 && width !== this.#width) throw refuse(path, 'has another form than the labels before');
    this.#width = width;
    if (!isVector) {
      if (typeof label === 'object') throw refuse(path, 'must be a number, a text, or a list of numbers: the label');
      this.#scalars.push(label);
      return;
    }
    for (const value of label) {
      if (typeof value !== 'number') throw refuse(path, 'must be a list of numbers, or one value: the label');
      if (!this.#vectors.push(value)) throw tooLarge(this.#path);
    }
  }
}

export const refuse = (path: string, why: string): StepError => new StepError('INVALID_PARAMS', `${path} ${why}`);

const tooLarge = (path: string): StepError =>
  new StepError(
    'ML_TENSOR_TOO_LARGE',
    `${path} has more than the ${limits.blobBytesMax} bytes of numbers that are allowed`,
  );
