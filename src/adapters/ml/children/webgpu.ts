// The process that runs WGSL kernels. WebGPU checks every access: what one writes outside of its buffers goes nowhere.
import { setTimeout as wait } from 'node:timers/promises';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { compileFailure } from '../compute/compile-error.ts';
import { wgslBindings } from '../compute/kernel-source.ts';
import type { KernelAnswer, KernelJob, Launch } from '../compute/messages.ts';
import { ProgramCache } from '../compute/program-cache.ts';
import { adapterInfo, type OpenGpu, openGpu } from '../device/webgpu.ts';
import { type ServeHooks, serve } from '../process/serve.ts';

/** webgpu.h: GPUBufferUsage and GPUMapMode. */
const usage = { mapRead: 0x1, copySource: 0x4, copyTarget: 0x8, uniform: 0x40, storage: 0x80 } as const;
const mapRead = 1;
/** Of GPUShaderStage. */
const compute = 4;

interface Opened extends OpenGpu {
  device: GPUDevice;
  /** Nothing works on it any more. */
  isLost: boolean;
  programs: ProgramCache<GPUShaderModule>;
  pipelines: WeakMap<GPUShaderModule, Map<string, GPUComputePipeline>>;
}

let opened: Opened | undefined;

/** What kernels use of an adapter; without asking a device has less. */
const limits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxUniformBuffersPerShaderStage',
  'maxBindingsPerBindGroup',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

const features = ['shader-f16', 'subgroups'] as const;

async function open(): Promise<Opened> {
  const parts = await openGpu();
  const { adapter } = parts;
  const device = await adapter.requestDevice({
    requiredFeatures: features.filter((name) => adapter.features.has(name)),
    requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
  });
  const made: Opened = {
    ...parts,
    device,
    isLost: false,
    programs: new ProgramCache<GPUShaderModule>(() => undefined),
    pipelines: new WeakMap(),
  };
  void device.lost.then(() => {
    made.isLost = true;
  });
  return made;
}

async function run(job: KernelJob, hooks: ServeHooks): Promise<KernelAnswer> {
  opened ??= await open();
  const at = opened;
  const { device, adapter } = at;
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  const buffers: GPUBuffer[] = [];
  try {
    const answer = await perform(at, job, buffers).then(
      (value) => ({ value }),
      (thrown: unknown) => ({ thrown }),
    );
    const memory = await device.popErrorScope();
    const invalid = await device.popErrorScope();
    // What WebGPU found is the cause of what was thrown then.
    if (memory !== null) throw new StepError('ML_OUT_OF_MEMORY', `${adapterInfo(adapter).name}: ${memory.message}`);
    if ('thrown' in answer && answer.thrown instanceof StepError) throw answer.thrown;
    if (invalid !== null) throw new StepError('ML_KERNEL_FAILED', `WebGPU: ${invalid.message.slice(0, 1000)}`);
    if ('thrown' in answer) throw answer.thrown;
    return answer.value;
  } finally {
    for (const buffer of buffers) buffer.destroy();
    // The next call gets another process.
    if (at.isLost) hooks.retire();
  }
}

/** @param buffers gets all that is made, to be destroyed by the caller */
async function perform(at: Opened, job: KernelJob, buffers: GPUBuffer[]): Promise<KernelAnswer> {
  const { device, programs } = at;
  const begun = performance.now();
  const { program, cached } = programs.get(job, () => device.createShaderModule({ code: job.source }));
  await checkModule(program);
  for (const launch of job.launches) await pipelineOf(at, program, job.source, launch.entry);
  const compiled = performance.now();
  for (const { bytes, data } of job.buffers) buffers.push(createBuffer(device, bytes, data, usage.storage));
  await device.queue.onSubmittedWorkDone();
  const ready = performance.now();
  for (const launch of job.launches) await submit(at, program, launch, job, buffers);
  const read = job.outputs.map((index) => copyOut(device, buffers[index] as GPUBuffer));
  buffers.push(...read);
  await device.queue.onSubmittedWorkDone();
  const ended = performance.now();
  const outputs: Uint8Array[] = [];
  for (const [place, buffer] of read.entries())
    outputs.push(await contents(buffer, job.buffers[job.outputs[place] ?? 0]?.bytes ?? 0));
  return { outputs, cached, compile_ms: compiled - begun, run_ms: ended - ready };
}

async function checkModule(module: GPUShaderModule): Promise<void> {
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter(({ type }) => type === 'error');
  if (errors.length > 0)
    throw compileFailure(
      errors.map(({ lineNum, linePos, message }) => ({ line: lineNum, column: linePos, text: message })),
    );
}

async function pipelineOf(
  { device, pipelines }: Opened,
  module: GPUShaderModule,
  source: string,
  entry: string,
): Promise<GPUComputePipeline> {
  const known = pipelines.get(module) ?? new Map<string, GPUComputePipeline>();
  pipelines.set(module, known);
  const pipeline =
    known.get(entry) ??
    (await device
      .createComputePipelineAsync({ layout: layoutOf(device, source), compute: { module, entryPoint: entry } })
      .catch((thrown: unknown): never => {
        throw new StepError(
          'ML_COMPILE_ERROR',
          `the kernel "${entry}" can not be made: ${messageOf(thrown).slice(0, 1000)}`,
        );
      }));
  known.set(entry, pipeline);
  return pipeline;
}

/** All that the source declares, so that kernels of which each uses some of it take the same arguments; what only the compiler knows is left to it. */
function layoutOf(device: GPUDevice, source: string): GPUPipelineLayout | 'auto' {
  const bindings = wgslBindings(source);
  const numbers = new Set(bindings.map(({ binding }) => binding));
  if (numbers.size !== bindings.length || bindings.some(({ binding }) => !(binding < bindings.length))) return 'auto';
  const entries = bindings.map(({ binding, space, isWritable }): GPUBindGroupLayoutEntry => {
    const type = space === 'uniform' ? space : isWritable ? 'storage' : 'read-only-storage';
    return { binding, visibility: compute, buffer: { type } };
  });
  return device.createPipelineLayout({ bindGroupLayouts: [device.createBindGroupLayout({ entries })] });
}

/** WebGPU wants lengths that are multiples of 4; of a uniform block of 16. */
function createBuffer(device: GPUDevice, bytes: number, data: Uint8Array | undefined, kind: number): GPUBuffer {
  const size = Math.max(16, Math.ceil(bytes / 16) * 16);
  const buffer = device.createBuffer({ size, usage: kind | usage.copySource | usage.copyTarget });
  if (data === undefined) return buffer;
  const padded = new Uint8Array(Math.ceil(data.length / 4) * 4);
  padded.set(data);
  device.queue.writeBuffer(buffer, 0, padded);
  return buffer;
}

/** Arguments are bound in their order: `@group(0) @binding(0)` is the first; scalars are uniforms. */
async function submit(
  at: Opened,
  program: GPUShaderModule,
  { entry, global, args }: Launch,
  job: KernelJob,
  buffers: readonly GPUBuffer[],
): Promise<void> {
  const { device } = at;
  const pipeline = await pipelineOf(at, program, job.source, entry);
  const uniforms: GPUBuffer[] = [];
  const entries = args.map((arg, binding): GPUBindGroupEntry => {
    if (arg.kind === 'buffer') {
      const size = Math.max(4, Math.ceil((job.buffers[arg.index]?.bytes ?? 0) / 4) * 4);
      // What arrayLength gives is that of the data.
      return { binding, resource: { buffer: buffers[arg.index] as GPUBuffer, size } };
    }
    const bytes = arg.kind === 'scalar' ? arg.bytes : new Uint8Array(4);
    const uniform = createBuffer(device, bytes.length, bytes, usage.uniform);
    uniforms.push(uniform);
    return { binding, resource: { buffer: uniform } };
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  if (entries.length > 0)
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(global[0] ?? 1, global[1] ?? 1, global[2] ?? 1);
  pass.end();
  device.queue.submit([encoder.finish()]);
  // What was submitted before is done with them all the same.
  for (const uniform of uniforms) uniform.destroy();
}

function copyOut(device: GPUDevice, buffer: GPUBuffer): GPUBuffer {
  const copy = device.createBuffer({ size: buffer.size, usage: usage.mapRead | usage.copyTarget });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  return copy;
}

async function contents(buffer: GPUBuffer, bytes: number): Promise<Uint8Array> {
  await buffer.mapAsync(mapRead);
  const data = new Uint8Array(buffer.getMappedRange().slice(0, bytes));
  buffer.unmap();
  return data;
}

/** Dawn moves on only while the event loop turns. */
async function turning<T>(work: Promise<T>): Promise<T> {
  let isDone = false;
  const end = work.finally(() => {
    isDone = true;
  });
  end.catch(() => undefined);
  while (!isDone) await Promise.race([end.catch(() => undefined), wait(1)]);
  return end;
}

serve({ run: (job: KernelJob, hooks) => turning(run(job, hooks)) });
