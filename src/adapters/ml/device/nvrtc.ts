// NVIDIA's run-time compiler for CUDA C++ (NVRTC). It needs no GPU.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { StepError } from '../../../lib/errors.ts';
import { compileError } from '../compute/compile-error.ts';
import { bind, koffi, loadLibrary, type Native } from './ffi.ts';
import { nvrtcHeaders } from './nvrtc-headers.ts';

const libraries: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ['libnvrtc.so.13', 'libnvrtc.so.12', 'libnvrtc.so.11.2', '/usr/local/cuda/lib64/libnvrtc.so', 'libnvrtc.so'],
  win32: ['nvrtc64_130_0.dll', 'nvrtc64_120_0.dll', 'nvrtc64_112_0.dll'],
};

const signatures = {
  nvrtcGetNumSupportedArchs: 'int pointer',
  nvrtcGetSupportedArchs: 'int pointer',
  nvrtcCreateProgram: 'int pointer text text int texts texts',
  nvrtcDestroyProgram: 'int pointer',
  nvrtcAddNameExpression: 'int handle text',
  nvrtcCompileProgram: 'int handle int texts',
  nvrtcGetProgramLogSize: 'int handle pointer',
  nvrtcGetProgramLog: 'int handle pointer',
  nvrtcGetLoweredName: 'int handle text pointer',
  nvrtcGetCUBINSize: 'int handle pointer',
  nvrtcGetCUBIN: 'int handle pointer',
  nvrtcGetPTXSize: 'int handle pointer',
  nvrtcGetPTX: 'int handle pointer',
} as const;

type Nvrtc = Record<keyof typeof signatures, Native>;

const compilationFailed = 6;

export interface CudaImage {
  /** CUBIN for the very device, or PTX where the compiler is older than it. */
  bytes: Uint8Array;
  form: 'cubin' | 'ptx';
  /** What a kernel is called in the image: C++ mangles names. */
  names: Readonly<Record<string, string>>;
}

export interface CudaSource {
  source: string;
  defines: Readonly<Record<string, string>>;
  entries: readonly string[];
  /** Compute capability, such as 90 for 9.0. */
  capability: number;
}

/** @throws StepError ML_LIBRARY_MISSING that says how to get it */
function load(): Nvrtc {
  const stated = process.env.JSONFLOW_NVRTC;
  const names = stated === undefined ? (libraries[process.platform] ?? []) : [stated];
  const file = names.find((name) => isAbsolute(name) && existsSync(name));
  if (file !== undefined) loadBuiltins(dirname(file));
  const what = 'NVRTC, which compiles CUDA, (part of the CUDA toolkit; JSONFLOW_NVRTC may name its file)';
  return bind(loadLibrary(names, what), signatures);
}

/** It looks for its own functions by a name that the system's loader only finds where it is loaded already. */
function loadBuiltins(folder: string): void {
  // Beside them may be those of an alternative compiler.
  const builtins = readdirSync(folder).find((name) => /nvrtc-builtins(?!\.alt)/.test(name));
  if (builtins !== undefined) koffi().load(join(folder, builtins));
}

/** Headers of the toolkit, such as cuda_fp16.h, where they are installed. */
function includePaths(): string[] {
  const { JSONFLOW_NVRTC: stated, CUDA_PATH, CUDA_HOME } = process.env;
  const beside = stated === undefined ? [] : [join(dirname(stated), '..', 'include')];
  const toolkits = [CUDA_PATH, CUDA_HOME, '/usr/local/cuda'].flatMap((path) =>
    path === undefined ? [] : [join(path, 'include')],
  );
  const folder = [...beside, ...toolkits].find((path) => existsSync(join(path, 'cuda_fp16.h')));
  return folder === undefined ? [] : [`--include-path=${folder}`];
}

function check(status: number, what: string): void {
  if (status !== 0) throw new StepError('ML_KERNEL_FAILED', `NVRTC: ${what}: error ${status}`);
}

let nvrtc: Nvrtc | undefined;

/** @throws StepError ML_COMPILE_ERROR, ML_LIBRARY_MISSING */
export function compileCuda({ source, defines, entries, capability }: CudaSource): CudaImage {
  nvrtc ??= load();
  const rtc = nvrtc;
  const handle = new BigUint64Array(1);
  const headers = Object.entries(nvrtcHeaders);
  const [names, sources] = [headers.map(([name]) => name), headers.map(([, text]) => text)];
  check(rtc.nvrtcCreateProgram(handle, source, 'kernel.cu', headers.length, sources, names), 'taking the source');
  const program = handle[0] ?? 0n;
  try {
    for (const entry of entries) check(rtc.nvrtcAddNameExpression(program, entry), `asking for "${entry}"`);
    const target = targetOf(rtc, capability);
    const options = [`--gpu-architecture=${target.architecture}`, '--std=c++17', ...includePaths(), ...macros(defines)];
    const status = rtc.nvrtcCompileProgram(program, options.length, options);
    if (status === compilationFailed) throw compileError(logOf(rtc, program));
    check(status, 'compiling');
    const lowered = Object.fromEntries(entries.map((entry) => [entry, loweredName(rtc, program, entry)]));
    return { bytes: imageOf(rtc, program, target.form), form: target.form, names: lowered };
  } finally {
    rtc.nvrtcDestroyProgram(handle);
  }
}

const macros = (defines: CudaSource['defines']): string[] =>
  Object.entries(defines).map(([name, value]) => `--define-macro=${name}=${value}`);

/** Code for the device itself; where the compiler doesn't know it yet, PTX, which the driver compiles on. */
function targetOf(rtc: Nvrtc, capability: number): { architecture: string; form: CudaImage['form'] } {
  const count = new Int32Array(1);
  check(rtc.nvrtcGetNumSupportedArchs(count), 'listing architectures');
  const known = new Int32Array(count[0] ?? 0);
  check(rtc.nvrtcGetSupportedArchs(known), 'listing architectures');
  if (known.includes(capability)) return { architecture: `sm_${capability}`, form: 'cubin' };
  const older = [...known].filter((architecture) => architecture <= capability);
  if (older.length === 0)
    throw new StepError('ML_NO_DEVICE', `NVRTC no longer compiles for compute capability ${capability / 10}`);
  return { architecture: `compute_${Math.max(...older)}`, form: 'ptx' };
}

function imageOf(rtc: Nvrtc, program: bigint, form: CudaImage['form']): Uint8Array {
  const [size, read] =
    form === 'cubin' ? [rtc.nvrtcGetCUBINSize, rtc.nvrtcGetCUBIN] : [rtc.nvrtcGetPTXSize, rtc.nvrtcGetPTX];
  return bytesOf(
    'reading the image',
    (length) => size(program, length),
    (bytes) => read(program, bytes),
  );
}

const logOf = (rtc: Nvrtc, program: bigint): string =>
  Buffer.from(
    bytesOf(
      'reading the log',
      (length) => rtc.nvrtcGetProgramLogSize(program, length),
      (bytes) => rtc.nvrtcGetProgramLog(program, bytes),
    ),
  )
    .toString('utf8')
    .replace(/\0+$/, '');

function bytesOf(
  what: string,
  size: (length: BigUint64Array) => number,
  read: (bytes: Uint8Array) => number,
): Uint8Array {
  const length = new BigUint64Array(1);
  check(size(length), what);
  const bytes = new Uint8Array(Number(length[0]));
  check(read(bytes), what);
  return bytes;
}

function loweredName(rtc: Nvrtc, program: bigint, entry: string): string {
  const name = new BigUint64Array(1);
  check(rtc.nvrtcGetLoweredName(program, entry, name), `finding "${entry}"`);
  return koffi().decode.string(name[0]);
}
