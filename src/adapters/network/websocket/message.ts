import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';

/** A message as it is sent: a text as it is, `{ "$bytes": base64 }` as a binary one, anything else as JSON. @throws StepError INVALID_PARAMS */
export function encodeMessage(message: JSONValue, where: string): string | Buffer {
  if (typeof message === 'string') return message;
  if (!isObject(message) || Object.keys(message).length !== 1 || typeof message.$bytes !== 'string')
    return JSON.stringify(message);
  if (message.$bytes.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(message.$bytes))
    throw new StepError('INVALID_PARAMS', `${where}.$bytes must be base64, with its padding`);
  return Buffer.from(message.$bytes, 'base64');
}

export type MessageForm = 'auto' | 'json' | 'text';

/**
 * A message as the output holds it.
 * @param form `auto`: texts that are JSON objects or lists are parsed, others stay
 * @throws StepError RESPONSE_INVALID where `json` was asked for, and it is none
 */
export function decodeMessage(data: Buffer, isBinary: boolean, form: MessageForm, index: number): JSONValue {
  if (isBinary) return { $bytes: data.toString('base64') };
  const text = data.toString();
  if (form === 'text' || (form === 'auto' && !/^\s*[[{]/.test(text))) return text;
  try {
    return JSON.parse(text) as JSONValue;
  } catch {
    if (form === 'auto') return text;
    throw new StepError('RESPONSE_INVALID', `message ${index} is not JSON, as options.parse says`);
  }
}
