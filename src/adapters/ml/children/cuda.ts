// The process that compiles and runs CUDA kernels: an error of the GPU spoils its context, which then ends with it.
import { StepError } from '../../../lib/errors.ts';
import type { KernelAnswer, KernelJob, Launch } from '../compute/messages.ts';
import { ProgramCache } from '../compute/program-cache.ts';
import { type Cuda, type CudaDevice, checkCuda, cudaDevices, loadCuda } from '../device/cuda.ts';
import { koffi } from '../device/ffi.ts';
import { type CudaSource, compileCuda } from '../device/nvrtc.ts';
import { type ServeHooks, serve } from '../process/serve.ts';

/** cuda.h: CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES; more than this is to be asked for. */
const dynamicSharedMax = 8;
const dynamicSharedFree = 48 * 1024;

interface Opened {
  cuda: Cuda;
  device: CudaDevice;
}

interface Program {
  module: bigint;
  functions: Map<string, bigint>;
}

let opened: Opened | undefined;
const programs = new ProgramCache<Program>(({ module }) => void opened?.cuda.cuModuleUnload(module));

function open(): Opened {
  const cuda = loadCuda();
  const ordinal = Number((process.argv[2] ?? '').split(':')[1] ?? 0);
  const device = cudaDevices(cuda)[ordinal];
  if (device === undefined) throw new StepError('ML_NO_DEVICE', `there is no CUDA device ${ordinal} any more`);
  const context = new BigUint64Array(1);
  checkCuda(cuda, cuda.cuDevicePrimaryCtxRetain(context, device.handle), 'making a context');
  checkCuda(cuda, cuda.cuCtxSetCurrent(context[0] ?? 0n), 'taking the context');
  return { cuda, device };
}

function build({ cuda, device }: Opened, job: KernelJob): Program {
  const entries = entriesOf(job);
  const { bytes, names } = compileCuda({ ...job, entries, capability: device.capability });
  const module = new BigUint64Array(1);
  checkCuda(cuda, cuda.cuModuleLoadData(module, bytes), 'loading the kernels');
  const functions = new Map<string, bigint>();
  for (const entry of entries) {
    const found = new BigUint64Array(1);
    checkCuda(cuda, cuda.cuModuleGetFunction(found, module[0] ?? 0n, names[entry] ?? entry), `finding "${entry}"`);
    functions.set(entry, found[0] ?? 0n);
  }
  return { module: module[0] ?? 0n, functions };
}

const entriesOf = ({ launches }: KernelJob): string[] => [...new Set(launches.map(({ entry }) => entry))].toSorted();

function run(job: KernelJob, hooks: ServeHooks): KernelAnswer {
  opened ??= open();
  const at = opened;
  const { cuda } = at;
  const begun = performance.now();
  const { program, cached } = programs.get(job, () => build(at, job), entriesOf(job).join());
  const compiled = performance.now();
  const buffers: bigint[] = [];
  let isSound = false;
  try {
    foresee(at, job);
    for (const buffer of job.buffers) createBuffer(cuda, buffer, buffers);
    checkCuda(cuda, cuda.cuCtxSynchronize(), 'writing buffers');
    const ready = performance.now();
    for (const one of job.launches) launch(cuda, program, one, buffers);
    checkCuda(cuda, cuda.cuCtxSynchronize(), 'running the kernels');
    const ended = performance.now();
    const outputs = job.outputs.map((index) => read(cuda, buffers[index] ?? 0n, job.buffers[index]?.bytes ?? 0));
    isSound = true;
    return { outputs, cached, compile_ms: compiled - begun, run_ms: ended - ready };
  } finally {
    for (const buffer of buffers) cuda.cuMemFree_v2(buffer);
    // After an access outside of memory every call fails.
    if (!isSound) hooks.retire();
  }
}

/** Others use the GPU, too: what is free counts. */
function foresee({ cuda, device }: Opened, { buffers }: KernelJob): void {
  const free = new BigUint64Array(1);
  checkCuda(cuda, cuda.cuMemGetInfo_v2(free, new BigUint64Array(1)), 'asking for its memory');
  const needed = buffers.reduce((sum, { bytes }) => sum + bytes, 0);
  if (needed > Number(free[0]))
    throw new StepError(
      'ML_OUT_OF_MEMORY',
      `the buffers have ${needed} bytes, and ${free[0]} are free on ${device.name}`,
      {
        retryable: true,
      },
    );
}

function createBuffer(cuda: Cuda, { bytes, data }: KernelJob['buffers'][number], buffers: bigint[]): void {
  const pointer = new BigUint64Array(1);
  const size = Math.max(1, bytes);
  checkCuda(cuda, cuda.cuMemAlloc_v2(pointer, size), `making a buffer of ${bytes} bytes`);
  const buffer = pointer[0] ?? 0n;
  buffers.push(buffer);
  const status =
    data !== undefined && bytes > 0 ? cuda.cuMemcpyHtoD_v2(buffer, data, bytes) : cuda.cuMemsetD8_v2(buffer, 0, size);
  checkCuda(cuda, status, 'writing a buffer');
}

function read(cuda: Cuda, buffer: bigint, bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  if (bytes > 0) checkCuda(cuda, cuda.cuMemcpyDtoH_v2(data, buffer, bytes), 'reading a buffer');
  return data;
}

function launch(
  cuda: Cuda,
  { functions }: Program,
  { entry, global, local, shared, args }: Launch,
  buffers: bigint[],
): void {
  const kernel = functions.get(entry) ?? 0n;
  if (shared > dynamicSharedFree)
    checkCuda(cuda, cuda.cuFuncSetAttribute(kernel, dynamicSharedMax, shared), `${shared} bytes of shared memory`);
  const block = [0, 1, 2].map((axis) => local?.[axis] ?? 1);
  const grid = [0, 1, 2].map((axis) => (global[axis] ?? 1) / (block[axis] ?? 1));
  // The driver wants the address of each value; they stay in reach until it has them.
  const values = args.map((arg) => {
    if (arg.kind === 'buffer') return BigUint64Array.of(buffers[arg.index] ?? 0n);
    // Aligned, as a part of a larger buffer need not be.
    return arg.kind === 'scalar' ? new Uint8Array(arg.bytes) : new Uint8Array(8);
  });
  const addresses = BigUint64Array.from(values, (value) => koffi().address(value));
  const status = cuda.cuLaunchKernel(kernel, ...grid, ...block, shared, 0, addresses, 0);
  checkCuda(cuda, status, `launching "${entry}"`);
}

/** Compiles for a device that need not be here. */
const compile = (source: CudaSource) => compileCuda(source);

serve({ run, compile });
