import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../lib/json.ts';

/** The systems' own names of what is `queue` everywhere. */
export const queueParams = ['queue', 'topic', 'subject', 'stream'] as const;

/** What a step names as its queue, by whichever name; undefined where it names none. */
export function optionalQueue(params: JSONObject): string | undefined {
  for (const name of queueParams) {
    const value = params[name];
    if (typeof value === 'string') return value;
  }
  return undefined;
}

/** @throws StepError INVALID_PARAMS */
export function queueOf(params: JSONObject): string {
  const queue = optionalQueue(params);
  if (queue !== undefined) return queue;
  throw new StepError('INVALID_PARAMS', 'params.queue is missing (also written topic, subject or stream)');
}

export const optionsOf = ({ options }: JSONObject): JSONObject => (isObject(options) ? (options as JSONObject) : {});

/** A param of the step, or of its `options`. */
export const paramOf = (params: JSONObject, name: string): JSONValue | undefined =>
  params[name] ?? optionsOf(params)[name] ?? undefined;

/** A param that is a whole number within bounds, both included. @throws StepError INVALID_PARAMS */
export function integerOf(params: JSONObject, name: string, [min, max]: readonly [number, number]): number | undefined {
  const value = paramOf(params, name);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new StepError('INVALID_PARAMS', `params.${name} must be a whole number from ${min} to ${max}`);
}

/** @throws StepError UNSUPPORTED where one of the params is there */
export function refuseParams(params: JSONObject, names: readonly string[], system: string): void {
  const name = names.find((one) => params[one] !== undefined);
  if (name !== undefined) throw new StepError('UNSUPPORTED', `params.${name} has no meaning for ${system}`);
}

/** What only topics of Kafka and streams of NATS are made with. */
export const streamParams = [
  'partitions',
  'replicas',
  'config',
  'subjects',
  'retention',
  'storage',
  'discard',
  'max_age_ms',
  'max_length',
  'max_length_bytes',
  'max_message_bytes',
  'duplicate_window_ms',
] as const;
