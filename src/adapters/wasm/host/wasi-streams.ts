import { rightRead, rightWrite } from './descriptors.ts';
import { errno } from './errno.ts';
import type { HostFunctions, HostState } from './state.ts';

/** Parts that one read or write may have, as IOV_MAX of POSIX systems. */
const vectorsMax = 1024;
const vectorBytes = 8;
const fdstatBytes = 24;
const filestatBytes = 64;

interface Vectors {
  parts: Uint8Array[];
  bytes: number;
}

/** All the parts, each checked; undefined where they are too many. @throws Fault */
function vectors(host: HostState, pointer: number, count: number): Vectors | undefined {
  if (count >>> 0 > vectorsMax) return undefined;
  host.guest.charge(count);
  const list = host.memory.view(pointer, count * vectorBytes);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (let at = 0; at < count * vectorBytes; at += vectorBytes) {
    const part = host.memory.at(list.getUint32(at, true), list.getUint32(at + 4, true));
    if (part.length > 0) parts.push(part);
    bytes += part.length;
  }
  // The result is 32 bits wide, and overlapping parts may add up to more.
  return bytes > 0xffff_ffff ? undefined : { parts, bytes };
}

function read(host: HostState, fd: number, pointer: number, count: number, resultPointer: number): number {
  const open = host.descriptors.get(fd);
  if (open === undefined || open.kind !== 'stdin') return errno.badf;
  if ((open.rights & rightRead) === 0n) return errno.notcapable;
  const wanted = vectors(host, pointer, count);
  if (wanted === undefined) return errno.inval;
  host.memory.view(resultPointer, 4);
  let total = 0;
  for (const part of wanted.parts) {
    const given = host.stdin.read(part);
    total += given;
    if (given < part.length) break;
  }
  host.memory.setU32(resultPointer, total);
  host.chargeBytes(total);
  return errno.success;
}

function write(host: HostState, fd: number, pointer: number, count: number, resultPointer: number): number {
  const open = host.descriptors.get(fd);
  if (open === undefined || open.kind === 'stdin') return errno.badf;
  if ((open.rights & rightWrite) === 0n) return errno.notcapable;
  const given = vectors(host, pointer, count);
  if (given === undefined) return errno.inval;
  host.memory.view(resultPointer, 4);
  host.chargeBytes(given.bytes);
  if (open.kind === 'stdout') host.stdout.write(given.parts, given.bytes);
  else host.stderr.write(given.parts);
  host.memory.setU32(resultPointer, given.bytes);
  return errno.success;
}

function status(host: HostState, fd: number, pointer: number): number {
  const open = host.descriptors.get(fd);
  if (open === undefined) return errno.badf;
  const view = host.memory.view(pointer, fdstatBytes);
  // File type 0, unknown: no terminal, so that programs write their output in large parts.
  view.setBigUint64(0, 0n, true);
  view.setUint16(2, open.flags, true);
  view.setBigUint64(8, open.rights, true);
  view.setBigUint64(16, 0n, true);
  return errno.success;
}

function setFlags(host: HostState, fd: number, flags: number): number {
  const open = host.descriptors.get(fd);
  if (open === undefined) return errno.badf;
  if (flags >>> 0 > 0x1f) return errno.inval;
  open.flags = flags;
  return errno.success;
}

/** Rights may be given up, never gained. */
function setRights(host: HostState, fd: number, base: bigint, inheriting: bigint): number {
  const open = host.descriptors.get(fd);
  if (open === undefined) return errno.badf;
  const wanted = BigInt.asUintN(64, base);
  if ((wanted & ~open.rights) !== 0n || inheriting !== 0n) return errno.notcapable;
  open.rights = wanted;
  return errno.success;
}

function fileStatus(host: HostState, fd: number, pointer: number): number {
  if (host.descriptors.get(fd) === undefined) return errno.badf;
  const bytes = host.memory.at(pointer, filestatBytes);
  bytes.fill(0);
  return errno.success;
}

/** What only files and folders can do. */
const refuse =
  (code: number) =>
  (host: HostState, fd: number): number =>
    host.descriptors.get(fd) === undefined ? errno.badf : code;

/** The streams 0 to 2 of WASI preview 1; there are no files, folders or sockets. */
export const wasiStreamFunctions: HostFunctions = {
  'fd_read iiii:i': read,
  'fd_write iiii:i': write,
  'fd_fdstat_get ii:i': status,
  'fd_fdstat_set_flags ii:i': setFlags,
  'fd_fdstat_set_rights ijj:i': setRights,
  'fd_filestat_get ii:i': fileStatus,
  'fd_close i:i': (host, fd: number) => (host.descriptors.close(fd) ? errno.success : errno.badf),
  'fd_renumber ii:i': (host, from: number, to: number) =>
    host.descriptors.renumber(from, to) ? errno.success : errno.badf,
  'fd_sync i:i': refuse(errno.success),
  'fd_datasync i:i': refuse(errno.success),
  'fd_advise ijji:i': refuse(errno.spipe),
  'fd_allocate ijj:i': refuse(errno.spipe),
  'fd_seek ijii:i': refuse(errno.spipe),
  'fd_tell ii:i': refuse(errno.spipe),
  'fd_pread iiiji:i': refuse(errno.spipe),
  'fd_pwrite iiiji:i': refuse(errno.spipe),
  'fd_readdir iiiji:i': refuse(errno.notdir),
  'fd_filestat_set_size ij:i': refuse(errno.notcapable),
  'fd_filestat_set_times ijji:i': refuse(errno.notcapable),
  'fd_prestat_get ii:i': () => errno.badf,
  'fd_prestat_dir_name iii:i': () => errno.badf,
  'path_create_directory iii:i': refuse(errno.notcapable),
  'path_filestat_get iiiii:i': refuse(errno.notcapable),
  'path_filestat_set_times iiiijji:i': refuse(errno.notcapable),
  'path_link iiiiiii:i': refuse(errno.notcapable),
  'path_open iiiiijjii:i': refuse(errno.notcapable),
  'path_readlink iiiiii:i': refuse(errno.notcapable),
  'path_remove_directory iii:i': refuse(errno.notcapable),
  'path_rename iiiiii:i': refuse(errno.notcapable),
  // Its folder is the third param.
  'path_symlink iiiii:i': (host, _target: number, _length: number, fd: number) => refuse(errno.notcapable)(host, fd),
  'path_unlink_file iii:i': refuse(errno.notcapable),
  'sock_accept iii:i': refuse(errno.notsock),
  'sock_recv iiiiii:i': refuse(errno.notsock),
  'sock_send iiiii:i': refuse(errno.notsock),
  'sock_shutdown ii:i': refuse(errno.notsock),
};
