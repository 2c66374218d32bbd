import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';

/** How bytes that a module gives are read: `auto` as JSON if they are that, else as a text if they are UTF-8, else as bytes. */
export type OutputForm = 'auto' | 'json' | 'text' | 'bytes';

/** What a function gave, before its bytes are read as the user wants them. */
export type Outcome =
  /** A value of JSON, by the function's type. */
  | { kind: 'value'; value: JSONValue }
  /** A copy of bytes of the module, yet to be decoded. */
  | { kind: 'bytes'; bytes: Uint8Array<ArrayBuffer> }
  /** A text, whatever is in it. */
  | { kind: 'text'; text: string };

/** Copies a result out of the module's memory. @throws StepError RESULT_TOO_LARGE before anything is copied */
export function copied(bytes: Uint8Array, bytesMax: number): Uint8Array<ArrayBuffer> {
  checkSize(bytes.length, bytesMax);
  return bytes.slice() as Uint8Array<ArrayBuffer>;
}

/** @throws StepError RESULT_TOO_LARGE */
export function checkSize(bytes: number, bytesMax: number): void {
  if (bytes > bytesMax)
    throw new StepError(
      'RESULT_TOO_LARGE',
      `the result has ${bytes} bytes, more than the ${bytesMax} that are allowed; return less, or stream it`,
    );
}
