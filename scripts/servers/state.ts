import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Instance } from './instance.ts';
import type { ServiceName } from './names.ts';

/** Where a checkout keeps what it knows of its servers. */
export const stateFolder = join(import.meta.dirname, '..', '..', '.services');

export interface State {
  services: Partial<Record<ServiceName, Instance>>;
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
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { services: {}, unavailable: {} };
    throw error;
  }
  try {
    const state: Partial<State> = JSON.parse(text);
    return { services: state.services ?? {}, unavailable: state.unavailable ?? {} };
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
