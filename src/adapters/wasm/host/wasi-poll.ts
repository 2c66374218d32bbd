import { errno } from './errno.ts';
import type { HostState } from './state.ts';

const subscriptionBytes = 48;
const eventBytes = 32;
const subscriptionsMax = 1024;
const isAbsolute = 1;

interface Subscription {
  userdata: bigint;
  tag: number;
  /** ns that a clock's has still to wait. */
  wait?: bigint;
  fd?: number;
  error: number;
}

/** What a clock shows, in ns; undefined for one that there is not. */
export function clockTime(host: HostState, id: number): bigint | undefined {
  if (id === 0) return host.clock.realtime;
  if (id === 1) return host.clock.monotonic;
  // The processor's time does not pass in sleep.
  return id === 2 || id === 3 ? host.clock.work : undefined;
}

function subscription(host: HostState, view: DataView, at: number): Subscription {
  const userdata = view.getBigUint64(at, true);
  const tag = view.getUint8(at + 8);
  if (tag === 1 || tag === 2) return { userdata, tag, fd: view.getUint32(at + 16, true), error: errno.success };
  const now = clockTime(host, view.getUint32(at + 16, true));
  if (tag !== 0 || now === undefined) return { userdata, tag, error: errno.inval };
  const timeout = view.getBigUint64(at + 24, true);
  const flags = view.getUint16(at + 40, true);
  const wait = (flags & isAbsolute) === 0 ? timeout : timeout - now;
  return { userdata, tag, wait: wait > 0n ? wait : 0n, error: errno.success };
}

/**
 * Waits without waiting: the streams are always ready, and where only clocks are waited for, their time has come at once: the module's
 * clock is put forward to the first of them.
 */
export function poll(host: HostState, pointer: number, into: number, count: number, resultPointer: number): number {
  if (count === 0 || count >>> 0 > subscriptionsMax) return errno.inval;
  host.guest.charge(count * 4);
  const view = host.memory.view(pointer, count * subscriptionBytes);
  const events = host.memory.view(into, count * eventBytes);
  host.memory.view(resultPointer, 4);
  const all = Array.from({ length: count }, (_, index) => subscription(host, view, index * subscriptionBytes));
  const [first = 0n] = all.map(({ wait = 0n }) => wait).sort((one, other) => Number(one - other));
  host.clock.sleep(first);
  let written = 0;
  for (const item of all) {
    if (item.wait !== undefined && item.wait > first) continue;
    event(host, events, written * eventBytes, item);
    written += 1;
  }
  host.memory.setU32(resultPointer, written);
  return errno.success;
}

function event(host: HostState, events: DataView, at: number, { userdata, tag, fd, error }: Subscription): void {
  const open = fd === undefined ? undefined : host.descriptors.get(fd);
  const missing = fd !== undefined && open === undefined;
  for (let offset = 0; offset < eventBytes; offset += 8) events.setBigUint64(at + offset, 0n, true);
  events.setBigUint64(at, userdata, true);
  events.setUint16(at + 8, missing ? errno.badf : error, true);
  events.setUint8(at + 10, tag);
  if (open === undefined) return;
  const ready = open.kind === 'stdin' ? host.stdin.ready : { bytes: 65_536, ended: false };
  events.setBigUint64(at + 16, BigInt(ready.bytes), true);
  events.setUint16(at + 24, ready.ended ? 1 : 0, true);
}
