import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import { GuestExit, type LogLine } from '../types.ts';
import { emscriptenTimeFunctions } from './emscripten-time.ts';
import { errno } from './errno.ts';
import type { HostFunction, HostFunctions, HostState } from './state.ts';

const textBytesMax = 65_536;
const pageBytes = 65_536;
/** All but the last page: the size of all of 32 bits' memory does not fit into 32 bits. */
const heapMax = 2 ** 32 - pageBytes;

function text(host: HostState, pointer: number): string {
  const given = host.memory.cString(pointer, textBytesMax);
  host.chargeBytes(given.length);
  return given;
}

function copy(host: HostState, to: number, from: number, length: number): number {
  const bytes = host.memory.at(from, length >>> 0);
  const into = host.memory.at(to, length >>> 0);
  host.chargeBytes(bytes.length);
  into.set(bytes);
  return to;
}

/** To that many bytes at least. @returns 1, or 0 where there is no more */
function resize(host: HostState, wanted: number): number {
  const bytes = (wanted >>> 0) - host.memory.size;
  return bytes > 0 && host.guest.grow(Math.ceil(bytes / pageBytes)) ? 1 : 0;
}

const aborted = (): never => {
  throw new StepError('WASM_EXITED', 'the module aborted');
};

const thrown = (): never => {
  throw new StepError(
    'WASM_EXITED',
    'the module threw a C++ exception, or jumped out of a function, and nothing caught it',
  );
};

function asserted(host: HostState, condition: number, file: number, line: number, name: number): never {
  const at = `${clip(text(host, file), 200)}:${line >>> 0}${name === 0 ? '' : `, ${clip(text(host, name), 200)}`}`;
  throw new StepError(
    'WASM_EXITED',
    `the module aborted: assertion failed: ${clip(text(host, condition), 1000)} (${at})`,
  );
}

const exit = (_host: HostState, code: number): never => {
  throw new GuestExit(code >>> 0);
};

const print =
  (level: LogLine['level']) =>
  (host: HostState, pointer: number): void =>
    host.logs.add(level, text(host, pointer));

/** What Emscripten's C library imports from `env`, as far as it can be had without its JavaScript. */
export const emscriptenFunctions: HostFunctions = {
  ...emscriptenTimeFunctions,
  'abort :': aborted,
  '_abort_js :': aborted,
  '__assert_fail iiii:': asserted,
  '__cxa_throw iii:': thrown,
  '_emscripten_throw_longjmp :': thrown,
  'exit i:': exit,
  '_exit i:': exit,
  'proc_exit i:': exit,
  'emscripten_memcpy_big iii:': copy,
  'emscripten_memcpy_big iii:i': copy,
  'emscripten_memcpy_js iii:': copy,
  '_emscripten_memcpy_js iii:': copy,
  'emscripten_notify_memory_growth i:': () => undefined,
  'emscripten_resize_heap i:i': resize,
  'emscripten_get_heap_max :i': (host) => Math.min(host.guest.bytesMax(), heapMax) | 0,
  'emscripten_random :f': (host) => host.random.unit(),
  'setTempRet0 i:': (host, value: number) => {
    host.tempRet0 = value;
  },
  'getTempRet0 :i': (host) => host.tempRet0,
  'emscripten_console_log i:': print('info'),
  'emscripten_console_warn i:': print('warn'),
  'emscripten_console_error i:': print('error'),
  'emscripten_out i:': print('info'),
  'emscripten_err i:': print('error'),
  '_emscripten_runtime_keepalive_clear :': () => undefined,
  '_setitimer_js id:i': () => -errno.nosys,
  '__syscall_ioctl iii:i': () => -errno.notty,
  '__syscall_getuid32 :i': () => 0,
  '__syscall_geteuid32 :i': () => 0,
  '__syscall_getgid32 :i': () => 0,
  '__syscall_getegid32 :i': () => 0,
};

/** System calls of whatever name are answered alike: there is no such call. */
export const refusedSystemCall = (name: string, type: string): HostFunction | undefined =>
  /^__syscall_\w+$/.test(name) && /^[ij]*:i$/.test(type) ? () => -errno.nosys : undefined;
