import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { interruption } from './interruption.ts';
import { identify, signal, withDescendants } from './process-id.ts';

/** Folders that a user's PATH may lack although servers are installed there. */
const extraFolders = ['/usr/local/sbin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin', '/opt/homebrew/sbin'];

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** The first of these programs that is installed: a name is looked up in PATH, a path is taken as it is. */
export function findProgram(...names: string[]): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...extraFolders];
  return names
    .flatMap((name) => (name.includes('/') ? [name] : folders.map((folder) => join(folder, name))))
    .find(isExecutable);
}

/** The end of a text, for a message. */
const lastLines = (text: string, count = 20): string => text.trimEnd().split('\n').slice(-count).join('\n');

/** The end of a log file; a word instead where there is none. */
export function lastLinesOf(file: string): string {
  try {
    return lastLines(readFileSync(file, 'utf8')) || '(the log is empty)';
  } catch {
    return '(there is no log)';
  }
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  account?: Account | undefined;
  timeoutMs?: number;
  /** For what must not be left half done: it runs to its end even if this command is told to end. */
  uninterrupted?: boolean;
}

/** Runs a program to its end and returns what it printed. Throws with the last lines of its output if it fails. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { cwd, env, account, timeoutMs = 120_000, uninterrupted = false } = options;
  return new Promise((resolve, reject) => {
    const settings = {
      cwd,
      env,
      ...account,
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
    };
    const child = execFile(command, args, settings, (error, stdout, stderr) => {
      interruption.removeEventListener('abort', end);
      if (!error) return resolve(stdout);
      const why = error.killed ? `was still running after ${timeoutMs / 1000} s` : error.message.split('\n', 1)[0];
      reject(new Error(`${command} ${args[0] ?? ''}: ${why}\n${lastLines(stdout + stderr)}`));
    });
    const id = child.pid === undefined ? undefined : identify(child.pid);
    // Scripts don't pass signals on to what they run.
    const end = (): void => signal(withDescendants(id ? [id] : []), 'SIGKILL');
    if (!uninterrupted) interruption.addEventListener('abort', end);
  });
}

/** The user and group that a process is to run as. */
export interface Account {
  uid: number;
  gid: number;
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/** The account of a Debian package's server, for those that refuse to run as root; undefined where we are not root anyway. */
export function accountOf(user: string | undefined): Account | undefined {
  if (user === undefined || !isRoot()) return undefined;
  const id = (flag: string): number => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
