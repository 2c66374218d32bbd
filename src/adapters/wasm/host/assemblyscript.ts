import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import { GuestExit, type LogLine } from '../types.ts';
import type { HostFunctions, HostState } from './state.ts';

const textBytesMax = 65_536;

/** A string of AssemblyScript's runtime: UTF-16, its size in bytes stands 4 before it. @throws Fault */
function text(host: HostState, pointer: number): string {
  const start = pointer >>> 0;
  if (start < 4) return start === 0 ? 'null' : '';
  const size = Math.min(host.memory.u32(start - 4), textBytesMax) & ~1;
  host.chargeBytes(size);
  return Buffer.from(host.memory.at(start, size)).toString('utf16le').toWellFormed();
}

function abort(host: HostState, message: number, file: number, line: number, column: number): never {
  const why = message === 0 ? '' : `: ${clip(text(host, message), 1000)}`;
  const where = file === 0 ? '' : ` (${clip(text(host, file), 200)}:${line >>> 0}:${column >>> 0})`;
  throw new StepError('WASM_EXITED', `the module aborted${why}${where}`);
}

function trace(host: HostState, message: number, count: number, ...values: number[]): void {
  host.logs.add('debug', [text(host, message), ...values.slice(0, Math.max(0, count))].join(' '));
}

const print =
  (level: LogLine['level']) =>
  (host: HostState, message: number): void =>
    host.logs.add(level, text(host, message));

/** What AssemblyScript's standard library imports from `env`. */
export const assemblyscriptFunctions: HostFunctions = {
  'abort iiii:': abort,
  'trace iiddddd:': trace,
  'seed :d': (host) => host.random.unit(),
  'console.log i:': print('info'),
  'console.info i:': print('info'),
  'console.debug i:': print('debug'),
  'console.warn i:': print('warn'),
  'console.error i:': print('error'),
  'console.assert ii:': (host, holds: number, message: number) => {
    if (holds === 0) host.logs.add('error', text(host, message));
  },
  'Date.now :d': (host) => host.clock.realtimeMs,
  'performance.now :d': (host) => host.clock.monotonicMs,
  'Math.random :d': (host) => host.random.unit(),
  'process.exit i:': (_host, code: number) => {
    throw new GuestExit(code >>> 0);
  },
};
