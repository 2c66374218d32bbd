import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import { GuestExit } from '../types.ts';
import { errno } from './errno.ts';
import type { HostFunctions, HostState } from './state.ts';
import { clockTime, poll } from './wasi-poll.ts';
import { wasiStreamFunctions } from './wasi-streams.ts';

const argumentsOf = (host: HostState): readonly Buffer[] => {
  host.arguments ??= host.settings.argv.map((item, index) => terminated(item, `argument ${index} of the program`));
  return host.arguments;
};

const variablesOf = (host: HostState): readonly Buffer[] => {
  host.variables ??= Object.entries(host.settings.env).map(([name, value]) => {
    const shown = JSON.stringify(clip(name, 100));
    if (name === '' || name.includes('='))
      throw new StepError(
        'INVALID_PARAMS',
        `${shown} in params.wasi.env is no name of a variable: it is empty, or holds "="`,
      );
    return terminated(`${name}=${value}`, `the variable ${shown} of params.wasi.env`);
  });
  return host.variables;
};

function terminated(text: string, what: string): Buffer {
  if (text.includes('\0'))
    throw new StepError(
      'INVALID_PARAMS',
      `${what} holds a NUL, where programs take a text to end; pass such data as stdin`,
    );
  return Buffer.from(`${text}\0`);
}

const sum = (texts: readonly Buffer[]): number => texts.reduce((total, { length }) => total + length, 0);

const sizes =
  (list: (host: HostState) => readonly Buffer[]) =>
  (host: HostState, countPointer: number, bytesPointer: number): number => {
    const texts = list(host);
    host.memory.view(bytesPointer, 4);
    host.memory.setU32(countPointer, texts.length);
    host.memory.setU32(bytesPointer, sum(texts));
    return errno.success;
  };

const contents =
  (list: (host: HostState) => readonly Buffer[]) =>
  (host: HostState, pointers: number, into: number): number => {
    const texts = list(host);
    const total = sum(texts);
    const view = host.memory.view(pointers, 4 * texts.length);
    const bytes = host.memory.at(into, total);
    host.chargeBytes(total + 4 * texts.length);
    let at = 0;
    texts.forEach((text, index) => {
      view.setUint32(4 * index, (into >>> 0) + at, true);
      bytes.set(text, at);
      at += text.length;
    });
    return errno.success;
  };

function random(host: HostState, pointer: number, length: number): number {
  const bytes = host.memory.at(pointer, length >>> 0);
  // Costs more than copying.
  host.chargeBytes(4 * bytes.length);
  host.random.fill(bytes);
  return errno.success;
}

/** `wasi_snapshot_preview1`: all of its functions, over arguments, variables, three streams, a clock and randomness that follow from the call. */
export const wasiFunctions: HostFunctions = {
  ...wasiStreamFunctions,
  'args_get ii:i': contents(argumentsOf),
  'args_sizes_get ii:i': sizes(argumentsOf),
  'environ_get ii:i': contents(variablesOf),
  'environ_sizes_get ii:i': sizes(variablesOf),
  'clock_res_get ii:i': (host, id: number, pointer: number) => {
    if (clockTime(host, id) === undefined) return errno.inval;
    host.memory.setU64(pointer, 1n);
    return errno.success;
  },
  'clock_time_get iji:i': (host, id: number, _precision: bigint, pointer: number) => {
    const time = clockTime(host, id);
    if (time === undefined) return errno.inval;
    host.memory.setU64(pointer, time);
    return errno.success;
  },
  'random_get ii:i': random,
  'poll_oneoff iiii:i': poll,
  'sched_yield :i': () => errno.success,
  'proc_exit i:': (_host, code: number) => {
    throw new GuestExit(code >>> 0);
  },
  'proc_raise i:i': () => errno.nosys,
};
