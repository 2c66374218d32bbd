import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import { parseStrictJSON } from '../../../lib/strict-json.ts';
import type { Outcome, OutputForm } from './outcome.ts';

/** Memory that a parsed result may take, roughly: brackets alone take up far more there than in their text. */
const parsedBytesMax = 512 * 1024 * 1024;
const containerBytes = 80;
const valueBytes = 16;

/**
 * The value of a result: JSON by strict rules (I-JSON), a text, or bytes.
 *
 * @throws StepError RESULT_INVALID where it does not have the form, RESULT_TOO_LARGE where parsing it would take too much memory
 */
export function decode(outcome: Outcome, form: OutputForm): JSONValue | Uint8Array {
  if (outcome.kind === 'value') return outcome.value;
  if (outcome.kind === 'text') return decodeText(outcome.text, form);
  const { bytes } = outcome;
  if (form === 'bytes') return bytes;
  const text = utf8(bytes);
  if (text === undefined) {
    if (form === 'auto') return bytes;
    throw new StepError(
      'RESULT_INVALID',
      `the result is not valid UTF-8, as output "${form}" needs; use output "bytes"`,
    );
  }
  return decodeText(text, form);
}

function decodeText(text: string, form: OutputForm): JSONValue | Uint8Array {
  switch (form) {
    case 'bytes':
      return Buffer.from(text);
    case 'text':
      return text;
    case 'json':
      return parsed(text);
    case 'auto':
      return guessed(text);
  }
}

const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined for what is not UTF-8. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return strictText.decode(bytes);
  } catch {
    return undefined;
  }
}

function parsed(text: string): JSONValue {
  checkParsedSize(text);
  try {
    return parseStrictJSON(text);
  } catch (thrown) {
    throw new StepError(
      'RESULT_INVALID',
      `the result is not JSON that everyone reads alike: ${clip(messageOf(thrown), 300)}`,
    );
  }
}

/** A text that is JSON to a lax parser, and holds more than a number, was meant as JSON: what is wrong with it is said. */
function guessed(text: string): JSONValue {
  const first = /^[\s]*(.)/.exec(text)?.[1];
  if (first === undefined || !'{["-0123456789tfn'.includes(first)) return text;
  checkParsedSize(text);
  try {
    return parseStrictJSON(text);
  } catch (thrown) {
    if ((first !== '{' && first !== '[') || !isLaxJSON(text)) return text;
    throw new StepError(
      'RESULT_INVALID',
      `the result is JSON, but not such that everyone reads alike (${clip(messageOf(thrown), 300)}); correct the module, or use output "text"`,
    );
  }
}

function isLaxJSON(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Before a parser sees it. Strings count too: a little too much is better than a scan of all. */
function checkParsedSize(text: string): void {
  // Nothing shorter can reach the limit.
  if (text.length < parsedBytesMax / containerBytes) return;
  let size = text.length;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x22) inString = !inString;
    else if (code === 0x5c && inString) index += 1;
    else if (!inString && (code === 0x5b || code === 0x7b)) size += containerBytes;
    else if (!inString && code === 0x2c) size += valueBytes;
  }
  if (size > parsedBytesMax)
    throw new StepError(
      'RESULT_TOO_LARGE',
      `the result would take about ${Math.round(size / 2 ** 20)} MiB of memory as JSON; return less, or use output "bytes"`,
    );
}
