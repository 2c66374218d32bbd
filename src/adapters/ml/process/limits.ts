// What a child program does to itself before it runs native code, through FFI where the package koffi is there.
import { readFileSync } from 'node:fs';
import { optionalPackage } from './package.ts';
import { Watch } from './watch.ts';

/** Of Linux: sys/resource.h, sys/prctl.h. */
const RLIMIT_DATA = 2;
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

const mib = 1024 * 1024;

interface Libc {
  setrlimit(resource: number, limit: { soft: bigint; hard: bigint }): number;
  prctl(option: number, value: number): number;
}

const libc = loadLibc();
/** Data that the process had when it began: V8's own, mostly. */
const baseBytes = dataBytes();
let limitMb = 0;
/** Where the system can't be asked. */
let watch: Watch | undefined;

function loadLibc(): Libc | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = optionalPackage<typeof import('koffi')>('koffi', 'limits need');
    // Within the process already, whatever the name of its file.
    const lib = koffi.load(null);
    const limit = koffi.struct('jsonflow_rlimit', { soft: 'uint64_t', hard: 'uint64_t' });
    return {
      setrlimit: lib.func('setrlimit', 'int', ['int', koffi.pointer(limit)]) as Libc['setrlimit'],
      prctl: lib.func('prctl', 'int', ['int', 'ulong']) as Libc['prctl'],
    };
  } catch {
    return undefined;
  }
}

function dataBytes(): number {
  if (process.platform !== 'linux') return 0;
  const kib = /^VmData:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** The most that the process may have, in MiB beyond what it began with: more is refused by the system, or ends it. On Linux the parent watches, too. */
export function limitMemory(memoryMb: number): void {
  watch?.limitMemory(memoryMb);
  if (memoryMb === limitMb || libc === undefined) return;
  // CUDA and Vulkan map far more than they use; of them only what they use is counted, by the parent.
  if (!isCounted(process.argv[3])) return;
  const soft = BigInt(baseBytes) + BigInt(Math.ceil(memoryMb)) * BigInt(mib);
  if (libc.setrlimit(RLIMIT_DATA, { soft, hard: 2n ** 64n - 1n }) === 0) limitMb = memoryMb;
}

const isCounted = (kind: string | undefined): boolean => kind !== 'cuda' && kind !== 'webgpu';

/**
 * Ends the process when its parent ends, even while native code never returns: a closed channel would not be seen then.
 * @param parent its process id, as it says itself: it may have ended before the first look
 */
export function dieWithParent(parent: number): void {
  if (libc?.prctl(PR_SET_PDEATHSIG, SIGKILL) !== 0) watch = new Watch(parent);
  // It may have ended before.
  else if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}
