import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../../../ports/adapter.ts';
import { type Device, type Probe, probeDevices } from '../device/devices.ts';
import type { Processes } from '../process/processes.ts';
import { viewBytes } from '../tensor/dtype.ts';
import { tensorJSON } from '../tensor/to-json.ts';
import { chooseDevice } from './choose.ts';
import type { KernelAnswer, KernelJob } from './messages.ts';
import { type BufferSpec, type ComputeRequest, readRequest } from './request.ts';
import { rewriteCuda } from './rewrite.ts';

export interface ComputeDeps {
  processes: Pick<Processes, 'call'>;
  /** What there is. Default: this machine's. */
  devices?: () => Promise<Probe>;
}

const mib = 1024 * 1024;
/** What a compiler and a driver take beside the buffers, in MiB. */
const runtimeMb = 1024;

/**
 * `gpu_compute`. Output: `{ outputs: { name: … }, result: the first of them, device, language, rewritten, cached, compile_ms, run_ms }`.
 * @throws StepError INVALID_PARAMS, ML_COMPILE_ERROR, ML_CUDA_NOT_PORTABLE, ML_NO_DEVICE, ML_NO_GPU, ML_OUT_OF_MEMORY, ML_KERNEL_FAILED,
 *   ML_PROCESS_CRASHED, ML_PACKAGE_MISSING, the signal's reason
 */
export async function gpuCompute(
  { params }: AdapterStep,
  context: AdapterContext,
  { processes, devices = probeDevices }: ComputeDeps,
): Promise<JSONObject> {
  const request = await readRequest(params, context);
  const device = chooseDevice(await devices(), {
    language: request.language,
    device: typeof params.device === 'string' ? params.device : undefined,
    needsGpu: (context.resources.gpu ?? 0) > 0,
  });
  context.signal.throwIfAborted();
  foresee(request, device, context);
  const isRewritten = request.language === 'cuda' && device.kind === 'opencl';
  const job = isRewritten ? asOpenCL(request.job) : request.job;
  // The order of what runs at once is not fixed on a GPU, nor need other devices round alike.
  context.varies();
  const { outputs, cached, compile_ms, run_ms } = (await processes
    .call(
      device.kind as 'opencl' | 'cuda' | 'webgpu',
      device.id,
      { method: 'run', args: job },
      { signal: context.signal, ...memoryOf(context), ...ownerOf(device, context) },
    )
    .catch((thrown: unknown): never => {
      throw isRewritten ? ofRewritten(thrown) : thrown;
    })) as KernelAnswer;
  const named = await Promise.all(
    request.job.outputs.map(async (index, place): Promise<[string, JSONValue]> => {
      const buffer = request.buffers[index] as BufferSpec;
      const data = viewBytes(buffer.dtype, outputs[place] ?? new Uint8Array());
      return [buffer.name, await tensorJSON({ dtype: buffer.dtype, shape: buffer.shape, data }, context, buffer.form)];
    }),
  );
  const { id, kind, name } = device;
  return {
    result: named[0]?.[1] ?? null,
    outputs: Object.fromEntries(named),
    device: { id, kind, name },
    language: request.language,
    ...(isRewritten ? { rewritten: true } : {}),
    cached,
    compile_ms: rounded(compile_ms),
    run_ms: rounded(run_ms),
  };
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

/** Fails before anything is run where there can't be enough memory. */
function foresee({ buffers }: ComputeRequest, device: Device, { resources }: AdapterContext): void {
  const needed = buffers.reduce((sum, { bytes }) => sum + bytes, 0);
  const reserved = device.isGpu ? resources.gpu_memory_mb : resources.ram_mb;
  const room = Math.min(device.memoryMb, reserved ?? device.memoryMb);
  if (device.kind === 'webgpu') {
    // It says how large one buffer may be.
    const large = buffers.find(({ bytes }) => bytes > device.memoryMb * mib);
    if (large !== undefined)
      throw tooLarge(`the buffer "${large.name}" has ${large.bytes} bytes`, device, device.memoryMb);
  } else if (needed > room * mib) throw tooLarge(`the buffers have ${needed} bytes together`, device, room);
}

const tooLarge = (what: string, { name }: Device, roomMb: number): StepError =>
  new StepError(
    'ML_OUT_OF_MEMORY',
    `${what}, and there are ${roomMb} MiB for them on ${name}: work on parts, or reserve more (gpu_memory_mb, ram_mb)`,
  );

const memoryOf = ({ resources: { ram_mb } }: AdapterContext): { memoryMb?: number } =>
  ram_mb === undefined ? {} : { memoryMb: ram_mb + runtimeMb };

/** WebGPU checks every access. Other kernels may read and write what others left: such a process serves one run. */
const ownerOf = ({ kind }: Device, { tenant_id, run_id }: AdapterContext): { owner?: string } =>
  kind === 'webgpu' ? {} : { owner: `${tenant_id ?? ''}/${run_id}` };

function asOpenCL(job: KernelJob): KernelJob {
  const { source, dynamic, entryOf } = rewriteCuda(job.source);
  const launches = job.launches.map((launch) => ({
    ...launch,
    entry: entryOf(launch.entry),
    args: dynamic.has(launch.entry) ? [...launch.args, { kind: 'local' as const, size: launch.shared }] : launch.args,
  }));
  const defines = Object.fromEntries(Object.entries(job.defines).map(([name, value]) => [entryOf(name), value]));
  return { ...job, source, launches, defines };
}

/** A compiler that was given other words than the author wrote. */
function ofRewritten(thrown: unknown): unknown {
  if (!(thrown instanceof StepError) || thrown.code !== 'ML_COMPILE_ERROR') return thrown;
  // It knows of memories, which CUDA's pointers do not tell apart.
  const code = /address space|no matching function/.test(thrown.message) ? 'ML_CUDA_NOT_PORTABLE' : thrown.code;
  return new StepError(code, `${thrown.message} (there is no NVIDIA GPU here: the CUDA was rewritten to OpenCL C)`);
}
