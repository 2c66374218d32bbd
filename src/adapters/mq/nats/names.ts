import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { paramOf } from '../params.ts';

/** The subject that a step means: `subject`, or what it calls its queue. @throws StepError INVALID_PARAMS */
export function optionalSubject(params: JSONObject): string | undefined {
  for (const name of ['subject', 'queue', 'topic']) {
    const value = params[name];
    if (typeof value !== 'string') continue;
    if (/^[^\s.]+(\.[^\s.]+)*$/.test(value) && value.length <= 255) return value;
    throw new StepError(
      'INVALID_PARAMS',
      `params.${name} is no NATS subject: names with dots between them, without white space`,
    );
  }
  return undefined;
}

/** A subject to publish to, so without wildcards. @throws StepError INVALID_PARAMS */
export function subjectOf(params: JSONObject): string {
  const subject = optionalSubject(params);
  if (subject === undefined) throw new StepError('INVALID_PARAMS', 'params.subject (or queue) is missing');
  if (subject.split('.').some((one) => one === '*' || one === '>'))
    throw new StepError('INVALID_PARAMS', 'params.subject has a wildcard; messages are published to one subject');
  return subject;
}

/** Streams and consumers may not be called like everything; what is not allowed becomes "_". */
export const plainName = (text: string): string => text.replace(/[.*>/\\\s]/g, '_');

/** A param that names a stream or consumer. @throws StepError INVALID_PARAMS */
export function nameOf(params: JSONObject, param: string): string | undefined {
  const value = paramOf(params, param);
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '' && value.length <= 255 && plainName(value) === value) return value;
  throw new StepError('INVALID_PARAMS', `params.${param} may have no dots, wildcards, slashes or white space`);
}

export const nanosOf = (ms: number): number => ms * 1_000_000;
