import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../bin/jsonflow.js', import.meta.url));
const CLOSE_TIMEOUT_MS = 10_000;

interface NodeProcess {
  child: ChildProcess;
  ended: Promise<void>;
}

/** What `jsonflow node --json` says when it is ready. */
interface Ready {
  pid: number;
  url?: string;
  http_url?: string;
}

/** The nodes of the demo: each one is `jsonflow node …` in a process and a data directory of its own. */
export class Cluster {
  readonly #folder: string;
  readonly #token = randomBytes(24).toString('base64url');
  readonly #nodes = new Map<string, NodeProcess>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Resolves with the node's ready line. */
  async start(name: string, flags: readonly string[]): Promise<Ready> {
    const args = [launcher, 'node', '--json', '--node-id', name, '--data-dir', join(this.#folder, name), ...flags];
    const child = spawn(process.execPath, args, {
      // The channel ends the node with this process, however that one ends.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, JSONFLOW_JOIN_TOKEN: this.#token, JSONFLOW_TETHERED: '1' },
    });
    const errors: string[] = [];
    const ready = Promise.withResolvers<Ready>();
    onLines(child.stdout, (line) => ready.resolve(JSON.parse(line)));
    onLines(child.stderr, (line) => errors.push(line));
    const ended = new Promise<void>((resolve) => {
      child.on('error', (cause) => ready.reject(cause));
      child.on('close', () => {
        ready.reject(new Error(`${name} ended before it was ready: ${errors.join(' ')}`));
        resolve();
      });
    });
    this.#nodes.set(name, { child, ended });
    return ready.promise;
  }

  /** SIGKILL: the process gets no chance to say goodbye. */
  kill(name: string): void {
    this.#nodes.get(name)?.child.kill('SIGKILL');
  }

  /** Whether the node was ended by SIGKILL. */
  async wasKilled(name: string): Promise<boolean> {
    const node = this.#nodes.get(name);
    await node?.ended;
    return node?.child.signalCode === 'SIGKILL';
  }

  /** Closes what still runs: gracefully first. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#nodes.values()].map(async ({ child, ended }) => {
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
        await ended;
        clearTimeout(timer);
      }),
    );
  }

  /** For the last resort, when there is no time to wait. */
  killAll(): void {
    for (const { child } of this.#nodes.values()) child.kill('SIGKILL');
  }
}

function onLines(stream: Readable | null, fn: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on('line', fn);
}

/** Runs a command of the command line, as a user would. */
export function jsonflow(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [launcher, ...args],
      { maxBuffer: 64 * 1024 * 1024 },
      (_error, out, err) => {
        resolve({ code: child.exitCode ?? -1, output: out + err });
      },
    );
  });
}
