import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject } from '../../lib/json.ts';

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
