import { optionalPackage } from './package.ts';

/** Of Linux: sys/mman.h. */
const PROT_READ = 1;
const MAP_SHARED = 1;

/**
 * A file's first bytes as memory, to read only; what the file doesn't have yet may be there later. To read beyond its end ends the process
 * (SIGBUS). Undefined without the package koffi.
 */
export function mapFile(fd: number, bytes: number): ArrayBuffer | undefined {
  try {
    const koffi = optionalPackage<typeof import('koffi')>('koffi', 'shared memory needs');
    const mmap = koffi.load(null).func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'long']);
    const place: unknown = mmap(null, bytes, PROT_READ, MAP_SHARED, fd, 0);
    return koffi.address(place) === 2n ** 64n - 1n ? undefined : koffi.view(place, bytes);
  } catch {
    return undefined;
  }
}
