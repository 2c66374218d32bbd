import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';

/** A param of the step, or of its `options`. */
export function paramOf(params: JSONObject, name: string): JSONValue | undefined {
  const own = params[name];
  if (own !== undefined && own !== null) return own;
  const { options } = params;
  return isObject(options) ? (options[name] ?? undefined) : undefined;
}

/** @throws StepError INVALID_PARAMS */
export function topicOf(params: JSONObject): string {
  const name = params.topic ?? params.queue;
  if (typeof name !== 'string' || name === '')
    throw new StepError('INVALID_PARAMS', 'topic (or queue) is missing: the name of a Kafka topic');
  // Kafka's own rule; a name beyond it would be refused with an error that says less.
  if (name.length > 249 || !/^[\w.-]+$/.test(name) || name === '.' || name === '..')
    throw new StepError('INVALID_PARAMS', 'topic may have letters, digits, ".", "_" and "-", at most 249 of them');
  return name;
}

export function integerOf(params: JSONObject, name: string, [min, max]: readonly [number, number]): number | undefined {
  const value = paramOf(params, name);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new StepError('INVALID_PARAMS', `${name} must be a whole number from ${min} to ${max}`);
}

export function textOf(params: JSONObject, name: string): string | undefined {
  const value = paramOf(params, name);
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw new StepError('INVALID_PARAMS', `${name} must be a text that is not empty`);
}
