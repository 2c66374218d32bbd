import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { delimiter, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isObject } from '../../../lib/json.ts';
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
}

const program = fileURLToPath(new URL(`../children/probe${extname(import.meta.filename)}`, import.meta.url));
const timeoutMs = 30_000;
const outputBytesMax = 1024 * 1024;

/** Hardware stays as it is while the process lives. */
let known: Probe | undefined;
let asking: Promise<Probe> | undefined;

/** What there is. Drivers are loaded in a process of their own, once, and only where their libraries are installed. */
export function probeDevices(): Promise<Probe> {
  asking ??= askDevices();
  return asking;
}

async function askDevices(): Promise<Probe> {
  if (known !== undefined) return known;
  const kinds = installedKinds();
  const printed =
    kinds.length === 0
      ? ''
      : await new Promise<string>((resolve) => {
          execFile(process.execPath, argsFor(kinds), settings(), (error, stdout) =>
            resolve(error === null ? stdout : ''),
          );
        });
  known = probeOf(kinds, printed);
  return known;
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
  if (known === undefined && !mayHaveGpu()) return [];
  if (known === undefined) {
    const kinds = installedKinds();
    known = probeOf(kinds, kinds.length === 0 ? '' : spawnSync(process.execPath, argsFor(kinds), settings()).stdout);
  }
  return gpusOf(known.devices);
}

/** Each GPU once: more than one library shows the same. */
function gpusOf(devices: readonly Device[]): Device[] {
  const gpus = devices.filter(({ isGpu }) => isGpu);
  const [first] = gpus;
  return gpus.filter(({ kind }) => kind === first?.kind);
}

const argsFor = (kinds: readonly string[]): string[] => ['--no-warnings', program, kinds.join(',')];

const settings = () =>
  ({
    env: childEnvironment(),
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
    maxBuffer: outputBytesMax,
  }) as const;

function probeOf(kinds: readonly string[], printed: string): Probe {
  const processor: Device = {
    id: 'cpu',
    kind: 'cpu',
    name: `${cpus()[0]?.model.trim() ?? process.arch}, ${availableParallelism()} threads`,
    memoryMb: Math.floor(totalmem() / (1024 * 1024)),
    driver: `Node.js ${process.versions.node}`,
    isGpu: false,
  };
  const { devices, reasons } = parse(printed, kinds);
  const ordered = [...devices.filter(({ isGpu }) => isGpu), ...devices.filter(({ isGpu }) => !isGpu)];
  return { devices: [...ordered, processor], reasons };
}

function parse(printed: string, kinds: readonly string[]): Probe {
  try {
    const value: unknown = JSON.parse(printed);
    if (isObject(value)) return value as unknown as Probe;
  } catch {
    // A driver that crashes prints nothing of use.
  }
  const reasons = kinds.map((kind) => [kind, 'its driver crashed or did not answer when it was asked for its devices']);
  return { devices: [], reasons: Object.fromEntries(reasons) };
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
