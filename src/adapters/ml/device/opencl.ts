// The part of the OpenCL 1.2 API that kernels need (Khronos, The OpenCL Specification, version 1.2).
import { StepError } from '../../../lib/errors.ts';
import { bind, loadLibrary, type Native } from './ffi.ts';

const libraries: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  win32: ['OpenCL.dll'],
  darwin: ['/System/Library/Frameworks/OpenCL.framework/OpenCL'],
};

const signatures = {
  clGetPlatformIDs: 'int uint pointer pointer',
  clGetPlatformInfo: 'int handle uint size pointer pointer',
  clGetDeviceIDs: 'int handle uint64 uint pointer pointer',
  clGetDeviceInfo: 'int handle uint size pointer pointer',
  clCreateContext: 'handle pointer uint pointer handle handle pointer',
  clCreateCommandQueue: 'handle handle handle uint64 pointer',
  clCreateProgramWithSource: 'handle handle uint texts pointer pointer',
  clBuildProgram: 'int handle uint pointer text handle handle',
  clGetProgramBuildInfo: 'int handle handle uint size pointer pointer',
  clCreateKernel: 'handle handle text pointer',
  clGetKernelInfo: 'int handle uint size pointer pointer',
  clGetKernelArgInfo: 'int handle uint uint size pointer pointer',
  clGetKernelWorkGroupInfo: 'int handle handle uint size pointer pointer',
  clSetKernelArg: 'int handle uint size pointer',
  clCreateBuffer: 'handle handle uint64 size handle pointer',
  clEnqueueWriteBuffer: 'int handle handle uint size size pointer uint handle handle',
  clEnqueueReadBuffer: 'int handle handle uint size size pointer uint handle handle',
  clEnqueueFillBuffer: 'int handle handle pointer size size size uint handle handle',
  clEnqueueNDRangeKernel: 'int handle handle uint pointer pointer pointer uint handle handle',
  clFinish: 'int handle',
  clReleaseMemObject: 'int handle',
  clReleaseKernel: 'int handle',
  clReleaseProgram: 'int handle',
} as const;

export type OpenCL = Record<keyof typeof signatures, Native>;

export const loadOpenCL = (): OpenCL =>
  bind(loadLibrary(libraries[process.platform] ?? ['libOpenCL.so.1', 'libOpenCL.so'], 'OpenCL'), signatures);

const deviceTypes = { all: 0xffffffff, cpu: 2 } as const;
const deviceInfo = {
  type: 0x1000,
  memoryBytes: 0x101f,
  name: 0x102b,
  driver: 0x102d,
  localBytes: 0x1023,
};
const platformNames = 0x0902;
const deviceNotFound = -1;

/** Errors that say that there is no room: of a buffer, of resources, of the host's memory. */
const roomErrors = new Set([-4, -5, -6, -61]);

/** Codes of cl.h that a kernel's author can do something about. */
const errorNames: Readonly<Record<number, string>> = {
  [-4]: 'CL_MEM_OBJECT_ALLOCATION_FAILURE',
  [-5]: 'CL_OUT_OF_RESOURCES',
  [-6]: 'CL_OUT_OF_HOST_MEMORY',
  [-11]: 'CL_BUILD_PROGRAM_FAILURE',
  [-46]: 'CL_INVALID_KERNEL_NAME',
  [-49]: 'CL_INVALID_ARG_INDEX',
  [-50]: 'CL_INVALID_ARG_VALUE',
  [-51]: 'CL_INVALID_ARG_SIZE',
  [-52]: 'CL_INVALID_KERNEL_ARGS',
  [-53]: 'CL_INVALID_WORK_DIMENSION',
  [-54]: 'CL_INVALID_WORK_GROUP_SIZE',
  [-55]: 'CL_INVALID_WORK_ITEM_SIZE',
  [-61]: 'CL_INVALID_BUFFER_SIZE',
  [-63]: 'CL_INVALID_GLOBAL_WORK_SIZE',
};

/** @param status undefined is no success either @throws StepError ML_OUT_OF_MEMORY, else ML_KERNEL_FAILED */
export function check(status: number | undefined, what: string): void {
  if (status === 0) return;
  const name = errorNames[status ?? 0] ?? `error ${status}`;
  throw new StepError(
    roomErrors.has(status ?? 0) ? 'ML_OUT_OF_MEMORY' : 'ML_KERNEL_FAILED',
    `OpenCL: ${what}: ${name}`,
  );
}

export interface OpenCLDevice {
  handle: bigint;
  name: string;
  driver: string;
  memoryBytes: number;
  isCpu: boolean;
  /** Of one work group. */
  localBytes: number;
}

/** All devices of all platforms, in the order in which the system names them. */
export function openCLDevices(cl: OpenCL): OpenCLDevice[] {
  const count = new Uint32Array(1);
  // A loader without any platform says so by an error.
  if (cl.clGetPlatformIDs(0, null, count) !== 0) return [];
  const platforms = new BigUint64Array(count[0] ?? 0);
  check(cl.clGetPlatformIDs(platforms.length, platforms, null), 'listing platforms');
  return [...platforms].flatMap((platform) => devicesOf(cl, platform));
}

function devicesOf(cl: OpenCL, platform: bigint): OpenCLDevice[] {
  const count = new Uint32Array(1);
  const status = cl.clGetDeviceIDs(platform, deviceTypes.all, 0, null, count);
  if (status === deviceNotFound) return [];
  check(status, 'listing devices');
  const handles = new BigUint64Array(count[0] ?? 0);
  check(cl.clGetDeviceIDs(platform, deviceTypes.all, handles.length, handles, null), 'listing devices');
  const platformName = textOf((...rest) => cl.clGetPlatformInfo(platform, platformNames, ...rest));
  return [...handles].map((handle) => {
    const text = (what: number): string => textOf((...rest) => cl.clGetDeviceInfo(handle, what, ...rest));
    const long = new BigUint64Array(1);
    const number = (what: number): number => {
      check(cl.clGetDeviceInfo(handle, what, 8, long, null), 'asking a device');
      return Number(long[0]);
    };
    return {
      handle,
      name: text(deviceInfo.name),
      driver: `${platformName} ${text(deviceInfo.driver)}`,
      memoryBytes: number(deviceInfo.memoryBytes),
      isCpu: (number(deviceInfo.type) & deviceTypes.cpu) !== 0,
      localBytes: number(deviceInfo.localBytes),
    };
  });
}

/** A text that OpenCL gives: its length is asked first. */
export function textOf(
  ask: (room: number, value: ArrayBufferView | null, length: ArrayBufferView | null) => number,
): string {
  const length = new BigUint64Array(1);
  check(ask(0, null, length), 'asking for a text');
  const bytes = Buffer.alloc(Number(length[0]));
  check(ask(bytes.length, bytes, null), 'asking for a text');
  return bytes.toString('utf8').replace(/\0+$/, '').trim();
}
