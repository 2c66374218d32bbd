import { canonicalDepthMax, canonicalize, isSoundNumber } from './canonical.ts';
import { JSONFlowError, messageOf } from './errors.ts';
import type { JSONValue } from './json.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const MINUS = 0x2d;

/** Digits of 2^53 − 1: a shorter integer can't be out of range. */
const SAFE_DIGITS = 16;

/** What one pass over the source finds out. */
interface Scan {
  /** Members of all objects: `:` outside strings. */
  members: number;
  /** Offset of the first integer that no double can hold exactly. */
  integerAt: number | undefined;
}

/**
 * Parses JSON that everyone reads the same way (I-JSON, RFC 7493): besides RFC 8259 it refuses duplicate keys, invalid UTF-8, lone
 * surrogates, nesting deeper than `depthMax` and integers beyond ±(2^53 − 1). What it returns, `canonicalize` accepts. Takes time in
 * proportion to the length.
 *
 * @param depthMax default 64, as for a value; what wraps values needs a few levels more
 *
 * @throws JSONFlowError INVALID_JSON (not JSON at all; the message shows the place) or NOT_I_JSON, naming the offset or the path
 */
export function parseStrictJSON(text: string | Uint8Array, depthMax: number = canonicalDepthMax): JSONValue {
  const source = typeof text === 'string' ? text : decodeUTF8(text);
  const { members, integerAt } = scan(source, depthMax);
  const value = parse(source);
  if (integerAt !== undefined)
    throw refusal(`the integer at offset ${integerAt} is beyond ±(2^53 − 1)`, 'Write it as a string.');
  const counted = countMembers(value);
  // Only to have it name the path.
  if (Number.isNaN(counted)) canonicalize(value);
  // A parser keeps the last of two equal keys without a word; then fewer members remain than the source has.
  if (counted !== members) throw duplicateKey(source);
  return value;
}

function decodeUTF8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new JSONFlowError('INVALID_JSON', 'the text is not valid UTF-8', { hint: 'Save it as UTF-8.' });
  }
}

function parse(source: string): JSONValue {
  try {
    return JSON.parse(source) as JSONValue;
  } catch (cause) {
    if (source.startsWith('\ufeff'))
      throw new JSONFlowError('INVALID_JSON', 'the text starts with a byte order mark', {
        hint: 'Save it as UTF-8 without a byte order mark.',
      });
    throw new JSONFlowError('INVALID_JSON', `the text is not JSON: ${messageOf(cause)}`, {
      hint: 'Correct it there.',
    });
  }
}

/** Looks at everything outside strings. The source need not be JSON: what is not, `JSON.parse` refuses afterwards. */
function scan(source: string, depthMax: number): Scan {
  let members = 0;
  let depth = 0;
  let integerAt: number | undefined;
  for (let i = 0; i < source.length; i++) {
    const code = source.charCodeAt(i);
    if (code === QUOTE) i = endOfString(source, i);
    else if (code === COLON) members++;
    else if (code === 0x5b || code === 0x7b) {
      // Before the parser sees it, so that brackets alone can't take up its memory.
      if (++depth > depthMax)
        throw refusal(`the text is nested deeper than ${depthMax} at offset ${i}`, 'Flatten the data.');
    } else if (code === 0x5d || code === 0x7d) depth--;
    else if (isDigit(code)) {
      const end = endOfNumber(source, i);
      if (end - i >= SAFE_DIGITS && integerAt === undefined && isUnsafeInteger(source.slice(i, end))) integerAt = i;
      i = end - 1;
    }
  }
  return { members, integerAt };
}

/** Offset of the closing quote; the end of the source where there is none. */
function endOfString(source: string, start: number): number {
  for (let from = start + 1; ; ) {
    const quote = source.indexOf('"', from);
    if (quote < 0) return source.length;
    let backslashes = 0;
    while (source.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote;
    from = quote + 1;
  }
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

function endOfNumber(source: string, start: number): number {
  for (let i = start; i < source.length; i++) {
    const code = source.charCodeAt(i);
    // Digits, `.`, `+`, `-`, `e` and `E`.
    if (!isDigit(code) && code !== 0x2e && code !== 0x2b && code !== MINUS && (code | 0x20) !== 0x65) return i;
  }
  return source.length;
}

const isUnsafeInteger = (digits: string): boolean => /^\d+$/.test(digits) && !Number.isSafeInteger(Number(digits));

/** Members of all objects; NaN, which equals no number, where the value holds what I-JSON doesn't allow. */
function countMembers(value: JSONValue): number {
  if (typeof value === 'string') return value.isWellFormed() ? 0 : Number.NaN;
  if (typeof value === 'number') return isSoundNumber(value) ? 0 : Number.NaN;
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) members += countMembers(value[i] as JSONValue);
    return members;
  }
  for (const key of Object.keys(value))
    members += key.isWellFormed() ? 1 + countMembers(value[key] as JSONValue) : Number.NaN;
  return members;
}

/** Finds the duplicate that is known to be there, in JSON that is known to be valid. */
function duplicateKey(source: string): JSONFlowError {
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < source.length; i++) {
    const character = source[i];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const end = endOfString(source, i);
      const keys = open.at(-1);
      if (keys !== undefined && isKey(source, end)) {
        const key = JSON.parse(source.slice(i, end + 1)) as string;
        if (keys.has(key))
          return refusal(`the key ${JSON.stringify(key)} at offset ${i} is a duplicate`, 'Remove one of the two.');
        keys.add(key);
      }
      i = end;
    }
  }
  return refusal('an object has a duplicate key', 'Remove one of the two.');
}

/** Whether the string that ends there is a key: a colon follows, perhaps after white space. */
function isKey(source: string, end: number): boolean {
  let i = end + 1;
  while (source[i] === ' ' || source[i] === '\n' || source[i] === '\r' || source[i] === '\t') i++;
  return source[i] === ':';
}

const refusal = (message: string, hint: string): JSONFlowError => new JSONFlowError('NOT_I_JSON', message, { hint });
