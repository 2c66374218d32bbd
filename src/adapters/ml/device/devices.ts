import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { delimiter, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import { childEnvironment } from '../process/environment.ts';

/** What a kernel or a model can run on. */
export interface Device {
  /** Kind and number, such as `cuda:0`; `cpu`. */
  id: string;
  kind: 'cuda' | 'opencl' | 'webgpu' | 'cpu';
  name: string;
  /** Its memory; of WebGPU what one buffer may have. */
  memoryMb: number;
  /** Name and version of what drives it. */
  driver: string;
  /** OpenCL and WebGPU run on processors, too. */
  isGpu: boolean;
}

export interface Probe {
  /** GPUs first; the last is the processor itself. */
  devices: Device[];
  /** Why there are none of a kind, where its libraries are there. */
  reasons: Record<string, string>;
  /** Kinds whose driver gave no answer this time. */
  silent?: readonly string[];
}

const program = fileURLToPath(new URL(`../children/probe${extname(import.meta.filename)}`, import.meta.url));
const timeoutMs = 30_000;
const outputBytesMax = 1024 * 1024;

/** How often a driver is asked that gives no answer: something else may have ended the process that asked it. */
const triesMax = 3;

/** Hardware stays as it is while the process lives. */
let known: Probe | undefined;
let asking: Promise<Probe> | undefined;
let tries = 0;

/** What there is. Each driver is loaded in a process of its own, once, and only where its libraries are installed. */
export function probeDevices(): Promise<Probe> {
  if (known !== undefined) return Promise.resolve(known);
  asking ??= askDevices().finally(() => {
    asking = undefined;
  });
  return asking;
}

async function askDevices(): Promise<Probe> {
  const answers = installedKinds().map(async (kind): Promise<Answer> => {
    const printed = await new Promise<string>((resolve) => {
      execFile(process.execPath, argsFor(kind), settings(), (error, stdout) => resolve(error === null ? stdout : ''));
    });
    return { kind, printed };
  });
  return remembered(probeOf(await Promise.all(answers)));
}

function remembered(probe: Probe): Probe {
  tries += 1;
  const { silent, ...last } = probe;
  // Who is told that a driver was silent tries again: after the last time nobody should.
  if (silent === undefined || tries >= triesMax) known ??= last;
  return known ?? probe;
}

/** What a node with GPUs reports to the scheduler: `gpu`, their number, and `gpu_memory_mb`, of the largest. Empty where there is none. */
export function gpuResources(): Record<string, number> {
  const gpus = presentGpus();
  if (gpus.length === 0) return {};
  return { gpu: gpus.length, gpu_memory_mb: Math.max(...gpus.map(({ memoryMb }) => memoryMb)) };
}

/** Its label `gpu`: what they are called. */
export function gpuLabels(): Record<string, string> {
  const names = new Set(presentGpus().map(({ name }) => name));
  return names.size === 0 ? {} : { gpu: [...names].join(', ') };
}

/** Costs nothing where no GPU can be there. */
function presentGpus(): Device[] {
  if (known !== undefined) return gpusOf(known.devices);
  if (!mayHaveGpu()) return [];
  const answers = installedKinds().map((kind) => {
    const { status, stdout } = spawnSync(process.execPath, argsFor(kind), settings());
    return { kind, printed: status === 0 ? stdout : '' };
  });
  return gpusOf(remembered(probeOf(answers)).devices);
}

/** Each GPU once: more than one library shows the same. */
function gpusOf(devices: readonly Device[]): Device[] {
  const gpus = devices.filter(({ isGpu }) => isGpu);
  const [first] = gpus;
  return gpus.filter(({ kind }) => kind === first?.kind);
}

const argsFor = (kind: string): string[] => ['--no-warnings', program, kind, String(process.pid)];

const settings = () =>
  ({
    env: childEnvironment(),
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
    maxBuffer: outputBytesMax,
  }) as const;

interface Answer {
  kind: string;
  /** Nothing of use where its driver crashed. */
  printed: string;
}

function probeOf(answers: readonly Answer[]): Probe {
  const processor: Device = {
    id: 'cpu',
    kind: 'cpu',
    name: `${cpus()[0]?.model.trim() ?? process.arch}, ${availableParallelism()} threads`,
    memoryMb: Math.floor(totalmem() / (1024 * 1024)),
    driver: `Node.js ${process.versions.node}`,
    isGpu: false,
  };
  const devices: Device[] = [];
  const reasons: Record<string, string> = {};
  const silent: string[] = [];
  for (const { kind, printed } of answers) {
    const told = parse(printed);
    if (Array.isArray(told.devices)) devices.push(...(told.devices as unknown as Device[]));
    else if (typeof told.reason === 'string') reasons[kind] = told.reason;
    else {
      reasons[kind] = noAnswer;
      silent.push(kind);
    }
  }
  const ordered = [...devices.filter(({ isGpu }) => isGpu), ...devices.filter(({ isGpu }) => !isGpu)];
  return { devices: [...ordered, processor], reasons, ...(silent.length === 0 ? {} : { silent }) };
}

const noAnswer = 'its driver crashed or did not answer when it was asked for its devices';

function parse(printed: string): JSONObject {
  try {
    const value: unknown = JSON.parse(printed);
    return isObject(value) ? (value as JSONObject) : {};
  } catch {
    return {};
  }
}

/** Kinds whose libraries are there, by files alone. */
function installedKinds(): string[] {
  const kinds: string[] = [];
  if (hasPackage('koffi')) {
    if (process.platform === 'win32' || hasLibrary('libcuda.so.1')) kinds.push('cuda');
    if (process.platform !== 'linux' || hasOpenCL()) kinds.push('opencl');
  }
  if (hasPackage('webgpu') && (process.platform !== 'linux' || hasVulkan())) kinds.push('webgpu');
  return kinds;
}

/** A loader finds nothing without an entry for a driver. */
const hasOpenCL = (): boolean =>
  hasLibrary('libOpenCL.so.1') &&
  (process.env.OCL_ICD_FILENAMES !== undefined ||
    holdsFiles(process.env.OCL_ICD_VENDORS ?? '/etc/OpenCL/vendors', '.icd'));

const hasVulkan = (): boolean =>
  hasLibrary('libvulkan.so.1') &&
  (process.env.VK_ICD_FILENAMES !== undefined ||
    process.env.VK_DRIVER_FILES !== undefined ||
    ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d'].some((folder) => holdsFiles(folder, '.json')));

function holdsFiles(path: string, extension: string): boolean {
  try {
    return path.endsWith(extension) || readdirSync(path).some((name) => name.endsWith(extension));
  } catch {
    return false;
  }
}

const multiarch: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

const hasLibrary = (name: string): boolean =>
  [
    ...(process.env.LD_LIBRARY_PATH ?? '').split(delimiter).filter(Boolean),
    `/usr/lib/${multiarch[process.arch] ?? ''}`,
    `/lib/${multiarch[process.arch] ?? ''}`,
    '/usr/lib64',
    '/usr/lib',
    '/usr/local/lib',
    '/usr/local/nvidia/lib64',
    '/usr/lib/wsl/lib',
  ].some((folder) => existsSync(join(folder, name)));

function hasPackage(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Linux shows a GPU as a file. Elsewhere only the drivers know. */
const mayHaveGpu = (): boolean =>
  process.platform !== 'linux' ||
  ['/dev/nvidiactl', '/dev/dxg', '/dev/kfd', '/dev/dri'].some((path) => existsSync(path));
