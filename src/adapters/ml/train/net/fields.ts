import { StepError } from '../../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../../lib/json.ts';
import { elementsOf } from '../../onnx/graph.ts';
import { type Activation, activation, activations } from './activation.ts';
import type { Layer } from './layer.ts';
import type { LossKind } from './names.ts';

/** Numbers that one sample may have in any layer. */
export const elementsMax: number = 16 * 1024 * 1024;

/** What the last layer follows from. */
export interface End {
  outputs: number;
  loss: LossKind;
}

/** The last activation that a loss asks for; any where there is none. */
export const endings: Record<LossKind, Activation | undefined> = {
  cross_entropy: 'softmax',
  binary_cross_entropy: 'sigmoid',
  mse: undefined,
};

export const refuse = (path: string, why: string): StepError =>
  new StepError('INVALID_PARAMS', `params.${path} ${why}`);

/** The settings of one layer, read one by one; what nobody asked for is refused. */
export class Fields {
  readonly path: string;
  /** Of what comes into the layer. */
  readonly shape: readonly number[];
  readonly #rest: Map<string, JSONValue>;

  constructor(spec: JSONValue, path: string, shape: readonly number[]) {
    if (!isObject(spec)) throw refuse(path, 'must be an object, such as { "type": "dense", "units": 32 }');
    this.path = path;
    this.shape = shape;
    this.#rest = new Map(Object.entries(spec as JSONObject));
  }

  end(): void {
    const [name] = this.#rest.keys();
    if (name !== undefined) throw refuse(`${this.path}.${name}`, 'is no setting of this type of layer');
  }

  /** The input's shape, which must have so many axes. */
  shaped(rank: 1 | 2 | 3, advice: string): readonly number[] {
    if (this.shape.length === rank) return this.shape;
    const wanted = ['', 'rows', 'sequences [channels, length]', 'images [channels, height, width]'][rank];
    throw refuse(this.path, `takes ${wanted}, and gets the shape [${this.shape.join(', ')}]: ${advice}`);
  }

  whole(name: string, minimum: number, maximum: number, usual?: number): number {
    const value = this.#take(name) ?? usual;
    if (!Number.isInteger(value) || Number(value) < minimum || Number(value) > maximum)
      throw refuse(`${this.path}.${name}`, `must be a whole number from ${minimum} to ${maximum}${found(value)}`);
    return Number(value);
  }

  number(name: string, minimum: number, maximum: number, usual: number): number {
    const value = this.#take(name) ?? usual;
    if (typeof value !== 'number' || !(value >= minimum && value <= maximum))
      throw refuse(`${this.path}.${name}`, `must be a number from ${minimum} to ${maximum}${found(value)}`);
    return value;
  }

  flag(name: string, usual: boolean): boolean {
    const value = this.#take(name) ?? usual;
    if (typeof value !== 'boolean') throw refuse(`${this.path}.${name}`, `must be true or false${found(value)}`);
    return value;
  }

  choice<T extends string>(name: string, names: readonly T[], usual: T | undefined): T {
    const value = this.#take(name) ?? usual;
    const known = names.find((candidate) => candidate === value);
    if (known === undefined) throw refuse(`${this.path}.${name}`, `must be one of ${names.join(', ')}${found(value)}`);
    return known;
  }

  /** A whole number for both axes, or one for each. */
  pair(name: string, usual: number | readonly [number, number]): readonly [number, number] {
    const value = this.#take(name) ?? usual;
    const [height, width, ...others] = Array.isArray(value) ? value : [value, value];
    const fits = [height, width].every(
      (length) => Number.isInteger(length) && Number(length) >= 1 && Number(length) <= 4096,
    );
    if (!fits || others.length > 0)
      throw refuse(
        `${this.path}.${name}`,
        `must be a whole number from 1 to 4096, or two of them${found(value as JSONValue)}`,
      );
    return [Number(height), Number(width)];
  }

  lengths(name: string): number[] {
    const value = this.#take(name);
    return lengthsOf(value, `${this.path}.${name}`);
  }

  /** The activation's name, and the layer for it: none where it is linear. The last one follows from the loss. */
  activation(shape: readonly number[], end: End | undefined): [Activation, Layer[]] {
    const usual = (end === undefined ? undefined : endings[end.loss]) ?? 'linear';
    const name = this.choice('activation', activations, usual);
    return [name, name === 'linear' ? [] : [activation(name, shape)]];
  }

  #take(name: string): JSONValue | undefined {
    const value = this.#rest.get(name);
    this.#rest.delete(name);
    return value;
  }
}

/** Lengths of axes. @throws StepError INVALID_PARAMS */
export function lengthsOf(value: JSONValue | undefined, path: string): number[] {
  const fits =
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= 4 &&
    value.every((length) => Number.isInteger(length) && Number(length) >= 1 && Number(length) <= elementsMax);
  if (!fits) throw refuse(path, `must be a list of 1 to 4 lengths${found(value)}`);
  const lengths = value.map(Number);
  if (elementsOf(lengths) > elementsMax)
    throw new StepError('ML_NET_TOO_LARGE', `params.${path} has more than ${elementsMax} numbers a sample`);
  return lengths;
}

const found = (value: JSONValue | undefined): string =>
  value === undefined ? '; it is missing' : `, not ${JSON.stringify(value).slice(0, 100)}`;
