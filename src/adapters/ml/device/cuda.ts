// The part of the CUDA driver API that kernels need (NVIDIA, CUDA Driver API). Versioned symbols: the plain names are those of CUDA 3.
import { StepError } from '../../../lib/errors.ts';
import { bind, koffi, loadLibrary, type Native } from './ffi.ts';

const libraries: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  win32: ['nvcuda.dll'],
  linux: ['libcuda.so.1', '/usr/lib/wsl/lib/libcuda.so.1'],
};

const signatures = {
  cuInit: 'int uint',
  cuDriverGetVersion: 'int pointer',
  cuDeviceGetCount: 'int pointer',
  cuDeviceGet: 'int pointer int',
  cuDeviceGetName: 'int pointer int int',
  cuDeviceGetAttribute: 'int pointer int int',
  cuDeviceTotalMem_v2: 'int pointer int',
  cuDevicePrimaryCtxRetain: 'int pointer int',
  cuCtxSetCurrent: 'int handle',
  cuCtxSynchronize: 'int',
  cuMemGetInfo_v2: 'int pointer pointer',
  cuMemAlloc_v2: 'int pointer size',
  cuMemFree_v2: 'int uint64',
  cuMemcpyHtoD_v2: 'int uint64 pointer size',
  cuMemcpyDtoH_v2: 'int pointer uint64 size',
  cuMemsetD8_v2: 'int uint64 uint8 size',
  cuModuleLoadData: 'int pointer pointer',
  cuModuleUnload: 'int handle',
  cuModuleGetFunction: 'int pointer handle text',
  cuFuncSetAttribute: 'int handle int int',
  cuLaunchKernel: 'int handle uint uint uint uint uint uint uint handle pointer handle',
  cuGetErrorName: 'int int pointer',
} as const;

export type Cuda = Record<keyof typeof signatures, Native>;

/** @throws StepError ML_LIBRARY_MISSING, ML_KERNEL_FAILED where the driver doesn't start */
export function loadCuda(): Cuda {
  const cuda = bind(loadLibrary(libraries[process.platform] ?? libraries.linux ?? [], 'the CUDA driver'), signatures);
  checkCuda(cuda, cuda.cuInit(0), 'starting the driver');
  return cuda;
}

const outOfMemory = 2;

/** @throws StepError ML_OUT_OF_MEMORY, else ML_KERNEL_FAILED */
export function checkCuda(cuda: Cuda, status: number, what: string): void {
  if (status === 0) return;
  const name = new BigUint64Array(1);
  const known = cuda.cuGetErrorName(status, name) === 0 && name[0] !== 0n;
  const text = known ? koffi().decode.string(name[0]) : `error ${status}`;
  throw new StepError(status === outOfMemory ? 'ML_OUT_OF_MEMORY' : 'ML_KERNEL_FAILED', `CUDA: ${what}: ${text}`);
}

export interface CudaDevice {
  ordinal: number;
  /** What the driver calls it. */
  handle: number;
  name: string;
  memoryBytes: number;
  /** Compute capability, such as 90 for 9.0. */
  capability: number;
  driver: string;
}

const attributes = { capabilityMajor: 75, capabilityMinor: 76 } as const;

export function cudaDevices(cuda: Cuda): CudaDevice[] {
  const int = new Int32Array(1);
  const ask = (status: number): number => {
    checkCuda(cuda, status, 'asking a device');
    return int[0] ?? 0;
  };
  const count = ask(cuda.cuDeviceGetCount(int));
  const version = ask(cuda.cuDriverGetVersion(int));
  return Array.from({ length: count }, (_, ordinal) => {
    const device = ask(cuda.cuDeviceGet(int, ordinal));
    const name = Buffer.alloc(256);
    const bytes = new BigUint64Array(1);
    checkCuda(cuda, cuda.cuDeviceGetName(name, name.length, device), 'asking a device');
    checkCuda(cuda, cuda.cuDeviceTotalMem_v2(bytes, device), 'asking a device');
    const major = ask(cuda.cuDeviceGetAttribute(int, attributes.capabilityMajor, device));
    const minor = ask(cuda.cuDeviceGetAttribute(int, attributes.capabilityMinor, device));
    return {
      ordinal,
      handle: device,
      name: name.toString('utf8').replace(/\0+$/, ''),
      memoryBytes: Number(bytes[0]),
      capability: major * 10 + minor,
      driver: `CUDA ${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`,
    };
  });
}
