// WebGPU by Dawn, from the package webgpu. Only child programs load it.
import { messageOf, StepError } from '../../../lib/errors.ts';
import { optionalPackage } from '../process/package.ts';

export interface OpenGpu {
  /** To be kept: what it made dies with it. */
  gpu: GPU;
  adapter: GPUAdapter;
}

/** @throws StepError ML_PACKAGE_MISSING, ML_NO_DEVICE */
export async function openGpu(): Promise<OpenGpu> {
  const { create } = optionalPackage<typeof import('webgpu')>('webgpu', 'kernels in WGSL need');
  const gpu = create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch((cause: unknown): never => {
    throw new StepError('ML_NO_DEVICE', `WebGPU does not work here: ${messageOf(cause)}`, { cause });
  });
  if (adapter === null)
    throw new StepError(
      'ML_NO_DEVICE',
      'WebGPU has no adapter here: it needs a driver for Vulkan, Metal or Direct3D 12',
    );
  return { gpu, adapter };
}

export function adapterInfo({ info }: GPUAdapter): { name: string; driver: string; isCpu: boolean } {
  const name = info.device || info.description || info.architecture || 'unknown';
  // Software renderers say so by their names only.
  const isCpu = /llvmpipe|lavapipe|swiftshader|software|basic render/i.test(`${name} ${info.description}`);
  return { name, driver: `WebGPU ${info.vendor} ${info.architecture}`.trim(), isCpu };
}
