import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { paramOf } from '../params.ts';

/** The topic that a step means, as topic or queue. @throws StepError INVALID_PARAMS */
export function topicOf(params: JSONObject): string {
  const name = params.topic ?? params.queue;
  if (typeof name !== 'string' || name === '')
    throw new StepError('INVALID_PARAMS', 'topic (or queue) is missing: the name of a Kafka topic');
  // Kafka's own rule; a name beyond it would be refused with an error that says less.
  if (name.length > 249 || !/^[\w.-]+$/.test(name) || name === '.' || name === '..')
    throw new StepError('INVALID_PARAMS', 'topic may have letters, digits, ".", "_" and "-", at most 249 of them');
  return name;
}

/** A param that is a text. @throws StepError INVALID_PARAMS where it is empty */
export function textOf(params: JSONObject, name: string): string | undefined {
  const value = paramOf(params, name);
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw new StepError('INVALID_PARAMS', `params.${name} must be a text that is not empty`);
}
