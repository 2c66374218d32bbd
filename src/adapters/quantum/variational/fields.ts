import { isObject, type JSONValue } from '../../../lib/json.ts';
import { closest } from '../../../lib/suggest.ts';
import { Fields, refuse } from '../formats/gate-list/fields.ts';

interface Range {
  readonly min: number;
  readonly max: number;
  readonly whole?: true;
}

/** @throws StepError INVALID_PARAMS where it is no number, or out of range */
export function numberIn(value: JSONValue | undefined, path: string, { min, max, whole }: Range): number {
  const isFit = typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value));
  if (!isFit) throw refuse(path, `must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}`);
  return value;
}

/** The number of a field, or the default where it is absent. */
export const optionalNumber = (fields: Fields, name: string, fallback: number, range: Range): number => {
  const value = fields.take(name);
  return value === undefined ? fallback : numberIn(value, fields.at(name), range);
};

/** @throws StepError INVALID_PARAMS where it is none of the choices */
export function oneOf<T extends string>(value: JSONValue | undefined, path: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  const meant = typeof value === 'string' ? closest(value, choices) : undefined;
  throw refuse(path, `must be one of ${choices.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`);
}

/** The fields of an object, or of one whose only field is `name` where a text stands for it. */
export function fieldsOf(value: JSONValue, path: string, name: string, example: string): Fields {
  if (typeof value === 'string') return new Fields({ [name]: value }, path);
  if (!isObject(value)) throw refuse(path, `must be an object such as ${example}`);
  return new Fields(value as JSONValue, path);
}
