import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Instance, Leftover } from './instance.ts';
import type { ServiceName } from './names.ts';
import type { ProcessId } from './process-id.ts';

/** Where a checkout keeps what it knows of its servers. */
export const stateFolder = join(import.meta.dirname, '..', '..', '.services');

/** A server that tests share. */
interface SharedInstance extends Instance {
  /** Whether it ends with its last user; otherwise it stays until somebody stops it. */
  temporary?: boolean;
}

export interface State {
  services: Partial<Record<ServiceName, SharedInstance>>;
  /** What was started but not yet noted above. Whoever holds the lock and finds any, finds the leftovers of a command that was killed. */
  starting: Partial<Record<ServiceName, Leftover>>;
  /** Test runs that use the servers now. */
  users: ProcessId[];
  /** Why the last `start` could not provide a server. */
  unavailable: Partial<Record<ServiceName, string>>;
}

const fileIn = (folder: string): string => join(folder, 'state.json');

/** What the file says; nothing where there is none. A file that can't be read is an error: servers would be forgotten. */
export function readState(folder = stateFolder): State {
  let text: string;
  try {
    text = readFileSync(fileIn(folder), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { services: {}, starting: {}, users: [], unavailable: {} };
    throw error;
  }
  try {
    const state: Partial<State> = JSON.parse(text);
    const { services = {}, starting = {}, users = [], unavailable = {} } = state;
    return { services, starting, users, unavailable };
  } catch {
    throw new Error(`${fileIn(folder)} is not JSON. End the servers that it names, if any, and remove it.`);
  }
}

/** Replaces the file as a whole, since tests read it at any time. */
export function writeState(state: State, folder = stateFolder): void {
  const file = fileIn(folder);
  mkdirSync(dirname(file), { recursive: true });
  // It holds passwords, if only of servers on the loopback interface.
  writeFileSync(`${file}.new`, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
