import { readFile } from 'node:fs/promises';
import { messageOf } from '../lib/errors.ts';
import { isObject, type JSONValue, setOwn } from '../lib/json.ts';
import { parseStrictJSON } from '../lib/strict-json.ts';
import { UsageError } from './exit.ts';
import type { Terminal } from './terminal.ts';

/** The bytes of a file, or of standard input for `-`. @throws UsageError */
async function readSource(path: string, terminal: Terminal): Promise<Uint8Array> {
  if (path === '-') {
    if (terminal.inputIsTerminal) throw new UsageError('nothing is piped into standard input', 'Pipe a file into it.');
    return terminal.readInput();
  }
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new UsageError(`there is no file ${JSON.stringify(path)}`, 'Check the path.');
    if (code === 'EISDIR') throw new UsageError(`${JSON.stringify(path)} is a folder`, 'Name a file within it.');
    throw new UsageError(`${JSON.stringify(path)} can't be read: ${messageOf(error)}`, 'Check its permissions.');
  }
}

/** Text of a file. @throws UsageError where it is not UTF-8 */
export async function readText(path: string, terminal: Terminal): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readSource(path, terminal));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${JSON.stringify(path)} is not UTF-8 text`, 'Save it as UTF-8.');
  }
}

/** A JSON file, nested up to `depthMax` levels (default: as a value may be). @throws UsageError that names the file */
export async function readJSON(path: string, terminal: Terminal, depthMax?: number): Promise<JSONValue> {
  const bytes = await readSource(path, terminal);
  try {
    return parseStrictJSON(bytes, depthMax);
  } catch (error) {
    throw new UsageError(`${JSON.stringify(path)} is not valid JSON: ${messageOf(error)}`, 'Correct the file.');
  }
}

/** The value of `k=v`: JSON where it is JSON, else the text itself. */
function memberValue(text: string): JSONValue {
  try {
    return parseStrictJSON(text);
  } catch {
    return text;
  }
}

/**
 * The run's input from its `--input` options, from left to right, later ones winning: `k=v`, `k=@file.json`, `@file.json`
 * or `-`; the last two give a whole object, or any value where they stand alone.
 * @throws UsageError
 */
export async function inputOf(given: readonly string[], terminal: Terminal): Promise<JSONValue> {
  const input: Record<string, JSONValue> = {};
  for (const item of given) {
    if (item.startsWith('@') || item === '-') {
      const value = await readJSON(item === '-' ? '-' : item.slice(1), terminal);
      if (!isObject(value)) {
        if (given.length === 1) return value;
        throw new UsageError(
          `${item} is no JSON object, so nothing can be added to it`,
          'Give it alone, or as k=@file.',
        );
      }
      for (const [key, member] of Object.entries(value)) setOwn(input, key, member);
      continue;
    }
    const equals = item.indexOf('=');
    if (equals < 1)
      throw new UsageError(`--input ${item} is not k=v`, 'Write --input k=v, k=@file.json or @file.json.');
    const value = item.slice(equals + 1);
    setOwn(
      input,
      item.slice(0, equals),
      value.startsWith('@') ? await readJSON(value.slice(1), terminal) : memberValue(value),
    );
  }
  return input;
}

/** `a=1,b=2` as numbers. @throws UsageError */
export function numbersOf(text: string, option: string): Record<string, number> {
  return Object.fromEntries(
    Object.entries(pairsOf(text, option)).map(([key, value]) => {
      const number = Number(value);
      if (value === '' || !Number.isFinite(number) || number < 0)
        throw new UsageError(
          `${option}: ${key} must be a number, not ${JSON.stringify(value)}`,
          `Write ${option} k=1,l=2.`,
        );
      return [key, number];
    }),
  );
}

/** `a=x,b=y` as texts. @throws UsageError */
export function pairsOf(text: string, option: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const pair of listOf(text)) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new UsageError(`${option}: ${JSON.stringify(pair)} is not k=v`, `Write ${option} k=v,l=w.`);
    setOwn(pairs, pair.slice(0, equals).trim(), pair.slice(equals + 1).trim());
  }
  return pairs;
}

/** `a,b` as a list. */
export const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** A whole number within limits. @throws UsageError */
export function integerOf(text: string, option: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new UsageError(
      `${option} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`,
      'Correct it.',
    );
  return value;
}
