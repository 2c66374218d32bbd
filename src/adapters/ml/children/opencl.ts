// The process that runs OpenCL kernels: whatever they do to memory they do to it.
import { StepError } from '../../../lib/errors.ts';
import { checkOpenCLArg, type OpenCLParam } from '../compute/check-arguments.ts';
import { compileError } from '../compute/compile-error.ts';
import type { KernelAnswer, KernelJob, Launch } from '../compute/messages.ts';
import { ProgramCache } from '../compute/program-cache.ts';
import { check, loadOpenCL, type OpenCL, type OpenCLDevice, openCLDevices, textOf } from '../device/opencl.ts';
import { serve } from '../process/serve.ts';

const readWrite = 1;
const argumentCount = 0x1191;
const buildLog = 0x1183;
const groupSizeMax = 0x11b0;
const groupLocalBytes = 0x11b2;
const paramSpace = 0x1196;
const paramType = 0x1198;
const spaces: Readonly<Record<number, OpenCLParam['space']>> = {
  4507: 'global',
  4508: 'local',
  4509: 'constant',
  4510: 'private',
};
const handleBytes = 8;

interface Opened {
  cl: OpenCL;
  device: OpenCLDevice;
  context: number;
  queue: number;
}

let opened: Opened | undefined;
const programs = new ProgramCache<number>((program) => void opened?.cl.clReleaseProgram(program));

function open(): Opened {
  const cl = loadOpenCL();
  const index = Number((process.argv[2] ?? '').split(':')[1] ?? 0);
  const device = openCLDevices(cl)[index];
  if (device === undefined) throw new StepError('ML_NO_DEVICE', `there is no OpenCL device ${index} any more`);
  const context = made('making a context', (error) =>
    cl.clCreateContext(null, 1, BigUint64Array.of(device.handle), 0, 0, error),
  );
  const queue = made('making a queue', (error) => cl.clCreateCommandQueue(context, device.handle, 0, error));
  return { cl, device, context, queue };
}

/** OpenCL gives what it makes, and says by a pointer whether it did. */
function made(what: string, make: (error: Int32Array) => number): number {
  const error = new Int32Array(1);
  const handle = make(error);
  check(error[0], what);
  return handle;
}

function build({ cl, context, device }: Opened, { source, defines }: KernelJob): number {
  const program = made('taking the source', (error) => cl.clCreateProgramWithSource(context, 1, [source], null, error));
  const options = ['-cl-kernel-arg-info', ...Object.entries(defines).map(([name, value]) => `-D ${name}=${value}`)];
  const status = cl.clBuildProgram(program, 1, BigUint64Array.of(device.handle), options.join(' '), 0, 0);
  if (status === 0) return program;
  const log = textOf((...rest) => cl.clGetProgramBuildInfo(program, device.handle, buildLog, ...rest));
  cl.clReleaseProgram(program);
  throw compileError(log);
}

function run(job: KernelJob): KernelAnswer {
  opened ??= open();
  const at = opened;
  const begun = performance.now();
  const { program, cached } = programs.get(job, () => build(at, job));
  const compiled = performance.now();
  const buffers: number[] = [];
  const kernels = new Map<string, number>();
  try {
    for (const buffer of job.buffers) buffers.push(createBuffer(at, buffer));
    check(at.cl.clFinish(at.queue), 'writing buffers');
    const ready = performance.now();
    const made = { kernels, buffers };
    for (const launch of job.launches) enqueue(at, program, launch, job.buffers, made);
    check(at.cl.clFinish(at.queue), 'running the kernels');
    const ended = performance.now();
    const outputs = job.outputs.map((index) => read(at, buffers[index] ?? 0, job.buffers[index]?.bytes ?? 0));
    return { outputs, cached, compile_ms: compiled - begun, run_ms: ended - ready };
  } finally {
    for (const kernel of kernels.values()) at.cl.clReleaseKernel(kernel);
    for (const buffer of buffers) at.cl.clReleaseMemObject(buffer);
  }
}

function createBuffer({ cl, context, queue }: Opened, { bytes, data }: KernelJob['buffers'][number]): number {
  // OpenCL has no empty buffers.
  const size = Math.max(1, bytes);
  const buffer = made(`making a buffer of ${bytes} bytes`, (error) =>
    cl.clCreateBuffer(context, readWrite, size, 0, error),
  );
  const status =
    data !== undefined && bytes > 0
      ? cl.clEnqueueWriteBuffer(queue, buffer, 1, 0, bytes, data, 0, 0, 0)
      : cl.clEnqueueFillBuffer(queue, buffer, new Uint8Array(1), 1, 0, size, 0, 0, 0);
  check(status, 'writing a buffer');
  return buffer;
}

function read({ cl, queue }: Opened, buffer: number, bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  if (bytes > 0) check(cl.clEnqueueReadBuffer(queue, buffer, 1, 0, bytes, data, 0, 0, 0), 'reading a buffer');
  return data;
}

interface Made {
  kernels: Map<string, number>;
  buffers: readonly number[];
}

function enqueue(
  at: Opened,
  program: number,
  launch: Launch,
  memory: KernelJob['buffers'],
  { kernels, buffers }: Made,
): void {
  const { cl, queue } = at;
  const { entry, global, local, args } = launch;
  const kernel = kernels.get(entry) ?? kernelOf(at, program, entry);
  kernels.set(entry, kernel);
  checkArgs(at, kernel, launch, memory);
  for (const [index, arg] of args.entries()) {
    const what = `argument ${index + 1} of "${entry}"`;
    if (arg.kind === 'scalar') check(cl.clSetKernelArg(kernel, index, arg.bytes.length, arg.bytes), what);
    else if (arg.kind === 'local') check(cl.clSetKernelArg(kernel, index, Math.max(1, arg.size), null), what);
    else check(cl.clSetKernelArg(kernel, index, handleBytes, BigUint64Array.of(BigInt(buffers[arg.index] ?? 0))), what);
  }
  checkGroup(at, kernel, launch);
  check(
    cl.clEnqueueNDRangeKernel(queue, kernel, global.length, null, sizes(global), local && sizes(local), 0, 0, 0),
    `launching "${entry}"`,
  );
}

const kernelOf = ({ cl }: Opened, program: number, entry: string): number =>
  made(`finding the kernel "${entry}"`, (error) => cl.clCreateKernel(program, entry, error));

/** Drivers take a number for an address, and any bits for a number. */
function checkArgs({ cl }: Opened, kernel: number, { entry, args }: Launch, memory: KernelJob['buffers']): void {
  const count = new Uint32Array(1);
  check(cl.clGetKernelInfo(kernel, argumentCount, 4, count, null), 'asking a kernel');
  if (count[0] !== args.length)
    throw new StepError(
      'INVALID_PARAMS',
      `the kernel "${entry}" takes ${count[0]} arguments, and ${args.length} are given`,
    );
  for (const [index, arg] of args.entries()) {
    const space = new Uint32Array(1);
    // A driver need not know.
    if (cl.clGetKernelArgInfo(kernel, index, paramSpace, 4, space, null) !== 0) return;
    const type = textOf((...rest) => cl.clGetKernelArgInfo(kernel, index, paramType, ...rest));
    const param = { type, space: spaces[space[0] ?? 0] ?? 'private' };
    checkOpenCLArg(arg, memory, param, `argument ${index + 1} of the kernel "${entry}"`);
  }
}

/** What a device doesn't have may end its process. */
function checkGroup({ cl, device }: Opened, kernel: number, { entry, local }: Launch): void {
  const number = new BigUint64Array(1);
  const ask = (what: number): number => {
    check(cl.clGetKernelWorkGroupInfo(kernel, device.handle, what, 8, number, null), 'asking a kernel');
    return Number(number[0]);
  };
  const items = local?.reduce((product, length) => product * length, 1) ?? 1;
  const most = ask(groupSizeMax);
  if (items > most)
    throw new StepError(
      'INVALID_PARAMS',
      `a group of "${entry}" has ${items} work items; ${device.name} takes ${most} at most`,
    );
  const bytes = ask(groupLocalBytes);
  if (bytes > device.localBytes)
    throw new StepError(
      'ML_OUT_OF_MEMORY',
      `a group of "${entry}" has ${bytes} bytes of local memory; ${device.name} has ${device.localBytes}`,
    );
}

const sizes = (lengths: readonly number[]): BigUint64Array => BigUint64Array.from(lengths, BigInt);

serve({ run });
