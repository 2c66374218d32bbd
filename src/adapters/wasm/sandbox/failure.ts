import { constants } from 'node:buffer';
import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { stops } from '../meter/stops.ts';
import { GuestExit } from '../types.ts';
import type { Failure } from './messages.ts';

const framesMax = 16;
const nameMax = 100;
const stderrMax = 1_000;

/** Of a call that has failed: what is known of the instance. */
export interface Remains {
  stop: number;
  stderr: string;
}

/** What a user is told of whatever ended a call. Texts of the engine are put in our own words, which are the same on every version of it. */
export function failureOf(thrown: unknown, { stop, stderr }: Remains): Failure {
  if (thrown instanceof StepError && thrown.code !== 'WASM_EXITED')
    return failure(thrown.code, thrown.message, thrown.retryable);
  if ((stop & 0xff) === stops.fuel) return outOfFuel();
  if ((stop & 0xff) === stops.depth)
    return failure(
      'CALL_DEPTH_EXCEEDED',
      'the calls are nested deeper than is allowed; recurse less, or raise the limit',
    );
  const refused = limitOf(stop);
  const how = endOf(thrown, stderr);
  if (refused === undefined || how === undefined) return how ?? crash(thrown);
  return failure(refused.code, `${refused.message}; the module then ended: ${how.message}`);
}

export const outOfFuel = (): Failure =>
  failure('OUT_OF_FUEL', 'the module used up its fuel before it was done; raise fuel_limit, or give it less to do');

const failure = (code: string, message: string, retryable = false): Failure => ({ code, message, retryable });

const crash = (thrown: unknown): Failure =>
  failure('SANDBOX_CRASHED', `the sandbox failed: ${clip(messageOf(thrown), 300)}`, true);

function limitOf(stop: number): { code: string; message: string } | undefined {
  if ((stop & stops.memory) !== 0)
    return { code: 'MEMORY_LIMIT', message: 'the module asked for more memory than memory_pages allows' };
  if ((stop & stops.table) !== 0)
    return { code: 'TABLE_LIMIT', message: 'the module asked for a larger table than is allowed' };
  return undefined;
}

/** Undefined for what is no doing of the module. */
function endOf(thrown: unknown, stderr: string): Failure | undefined {
  if (thrown instanceof StepError) return failure(thrown.code, withTail(thrown.message, stderr), thrown.retryable);
  if (thrown instanceof GuestExit)
    return failure('WASM_EXITED', withTail(`the program ended with exit code ${thrown.code}`, stderr));
  if (thrown instanceof WebAssembly.RuntimeError)
    return failure('WASM_TRAP', withTail(`${trapKind(thrown.message)}${backtrace(thrown)}`, stderr));
  if (thrown instanceof WebAssembly.LinkError)
    return failure('IMPORT_UNSUPPORTED', `the imports of the module do not fit: ${clip(thrown.message, 300)}`);
  // A backstop: the limit on the depth is reached before.
  if (thrown instanceof RangeError && thrown.message.includes('call stack'))
    return failure('CALL_DEPTH_EXCEEDED', `the stack of the sandbox is used up${backtrace(thrown)}`);
  // The same on every try and every machine: the engine's limit on texts is fixed.
  if (isTooLong(thrown))
    return failure(
      'RESULT_TOO_LARGE',
      `a text of the call would be longer than ${constants.MAX_STRING_LENGTH} characters; pass it as bytes, or in parts`,
    );
  if (thrown instanceof RangeError && /allocate|memory/i.test(thrown.message))
    return failure('SANDBOX_CRASHED', 'this machine has no room for the memory of the module now', true);
  return undefined;
}

const isTooLong = (thrown: unknown): boolean =>
  thrown instanceof Error &&
  ((thrown as NodeJS.ErrnoException).code === 'ERR_STRING_TOO_LONG' || thrown.message === 'Invalid string length');

function withTail(message: string, stderr: string): string {
  const tail = stderr.trimEnd().slice(-stderrMax);
  return tail === '' ? message : `${message}; it wrote last: ${tail}`;
}

/** The engine's texts by what they begin with or hold. */
const kinds: readonly (readonly [RegExp, string])[] = [
  [/^unreachable/, 'unreachable code was reached'],
  [/divide by zero/, 'integer divide by zero'],
  [/remainder by zero/, 'integer remainder by zero'],
  [/divide result unrepresentable/, 'integer overflow'],
  [/float unrepresentable/, 'a float does not fit into the integer'],
  [/memory access out of bounds/, 'memory access out of bounds'],
  [/data segment/, 'a data segment is out of bounds'],
  [/element segment/, 'an element segment is out of bounds'],
  [/table index is out of bounds|table access|table.*out of bounds/, 'table access out of bounds'],
  [/null function|signature mismatch/, 'an indirect call to a function that is not there or has another type'],
  [/null reference|dereferencing a null/, 'a null reference was used'],
];

const trapKind = (text: string): string => kinds.find(([pattern]) => pattern.test(text))?.[1] ?? clip(text, 100);

/** The frames of the module's own functions, innermost first. Offsets are left out: they are those of the rewritten code. */
function backtrace(error: Error): string {
  const frames: string[] = [];
  for (const line of (error.stack ?? '').split('\n')) {
    const match = /^ {4}at (?:(.*) \()?wasm:\/\/.*:wasm-function\[(\d+)\]/.exec(line);
    if (match === null) continue;
    const name = plainName(match[1] ?? '');
    frames.push(name === '' ? `function ${match[2]}` : `${name} (function ${match[2]})`);
    if (frames.length === framesMax) break;
  }
  return frames.length === 0 ? '' : `, in ${frames.join(' ← ')}`;
}

/** A module chooses its names: nothing in them may pass for a line of ours. */
const plainName = (name: string): string => clip(name.replace(/[\p{C}\p{Z}]+/gu, ' ').trim(), nameMax);
