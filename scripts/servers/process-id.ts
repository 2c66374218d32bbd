import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process for certain: its number may go to another process once it has ended, its number and start time together don't. */
export interface ProcessId {
  pid: number;
  /** When it started, in a form that only this file reads. */
  started: string;
}

interface Row {
  parent: number;
  started: string;
}

/** Fields of /proc/PID/stat behind the name, which may hold spaces and parentheses: state, parent, …, start time as the 20th. */
function rowFromProc(pid: number): Row | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, parent] = fields;
    const started = fields[19];
    // A zombie has ended; only its parent has not asked for its status yet.
    if (state === 'Z' || state === 'X' || started === undefined) return undefined;
    return { parent: Number(parent), started };
  } catch {
    return undefined;
  }
}

function rowFromPs(pid: number): Row | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,ppid=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [state, parent, ...started] = line.split(/\s+/);
    return state === undefined || state === '' || state.startsWith('Z')
      ? undefined
      : { parent: Number(parent), started: started.join(' ') };
  } catch {
    return undefined;
  }
}

const rowOf = process.platform === 'linux' ? rowFromProc : rowFromPs;

/** The process that has this number now; undefined where none has. */
export function identify(pid: number): ProcessId | undefined {
  const row = rowOf(pid);
  return row && { pid, started: row.started };
}

/** Whether this very process still runs. */
export const isRunning = ({ pid, started }: ProcessId): boolean => rowOf(pid)?.started === started;

function allPids(): number[] {
  const names =
    process.platform === 'linux'
      ? readdirSync('/proc')
      : execFileSync('ps', ['-A', '-o', 'pid='], { encoding: 'utf8' }).split('\n');
  return names.map(Number).filter((pid) => Number.isInteger(pid) && pid > 0);
}

/** The processes that descend from these, and these, as they are now. */
export function withDescendants(roots: readonly ProcessId[]): ProcessId[] {
  const rows = new Map(
    allPids().flatMap((pid) => {
      const row = rowOf(pid);
      return row ? [[pid, row] as const] : [];
    }),
  );
  const found = new Map(roots.filter(isRunning).map((root) => [root.pid, root]));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const [pid, { parent, started }] of rows)
      if (found.has(parent) && !found.has(pid)) found.set(pid, { pid, started });
  }
  return [...found.values()];
}

/** Sends a signal to those of the processes that still run. */
export function signal(processes: readonly ProcessId[], name: NodeJS.Signals): void {
  for (const id of processes) {
    if (!isRunning(id)) continue;
    try {
      process.kill(id.pid, name);
    } catch {
      // It ended between the look and the signal.
    }
  }
}

/** Waits until none of the processes runs. Returns whether that came about in time. */
async function gone(processes: readonly ProcessId[], timeoutMs: number): Promise<boolean> {
  for (const end = performance.now() + timeoutMs; processes.some(isRunning); await sleep(20)) {
    if (performance.now() > end) return false;
  }
  return true;
}

/** Ends processes and what descends from them: politely, then by force for whatever is left after the grace. */
export async function terminate(processes: readonly ProcessId[], graceMs: number): Promise<void> {
  const all = withDescendants(processes);
  signal(processes, 'SIGTERM');
  if (await gone(processes, graceMs)) await gone(all, 1000);
  signal(withDescendants(all), 'SIGKILL');
  await gone(all, 5000);
}

/** Ends processes and what descends from them at once, as a power cut would. */
export async function kill(processes: readonly ProcessId[]): Promise<void> {
  const all = withDescendants(processes);
  signal(all, 'SIGKILL');
  await gone(all, 5000);
}
