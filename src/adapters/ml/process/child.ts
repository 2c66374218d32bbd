import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { isObject } from '../../../lib/json.ts';
import { childEnvironment } from './environment.ts';
import { SharedFile } from './exchange.ts';
import { Frames } from './frames.ts';
import type { FromChild, ToChild } from './messages.ts';

/** Programs in `children/`. */
export type ChildKind = 'onnx' | 'opencl' | 'cuda' | 'webgpu' | 'tfjs' | 'train' | 'image';

export interface ChildRequest {
  method: string;
  /** Whatever structured clone takes. */
  args: unknown;
}

export interface ChildHooks {
  /** When it is aborted the process is killed, and the call fails with its reason. */
  signal: AbortSignal;
  /** MiB that the process may have beyond what an empty one has. */
  memoryMb?: number;
  onEvent?: (event: unknown) => void;
  /** What the call has in common with others, such as the digest of a model: it goes to a process that did the like before, where one is free. */
  affinity?: string;
  /** Whom the process serves alone, where its code could reach what others left in its memory. Default: anyone. */
  owner?: string;
}

const stderrMax = 4096;
const watchMs = 50;
const mib = 1024 * 1024;
/** How long memory shared with a process at rest is kept. */
const calmMs = 1000;
/** How long the last words of a process are waited for. */
const wordsMs = 250;

interface Call {
  id: number;
  hooks: ChildHooks & { memoryMb: number };
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

/** One process. Its life: taken, called, at rest, taken again …, gone. */
export class Child {
  /** Kind, device and owner. */
  readonly key: string;
  affinity: string | undefined;
  /** Whether it ends, or has ended, by our will. */
  wasKilled = false;
  isGone = false;
  #isTaken = false;
  readonly #process: ChildProcess;
  readonly #shared: SharedFile;
  /** Undefined where the system had no place for a pipe: then it never begins. */
  readonly #socket: Socket | undefined;
  readonly #frames: Frames | undefined;
  readonly #exited: Promise<void>;
  #stderr = '';
  #calls = 0;
  #call: Call | undefined;
  #idle: NodeJS.Timeout | undefined;
  #calm: NodeJS.Timeout | undefined;
  #baseBytes: number | undefined;
  /** Why it was killed. */
  #reason: unknown;

  /**
   * @param sharedBytesMax memory that it shares with the node, 0 for none
   * @param onExit called once the process is no more
   * @throws an error of the system where it has no room for another process
   */
  constructor(key: string, programs: URL, sharedBytesMax: number, onExit: () => void) {
    this.key = key;
    const [kind = '', device = ''] = key.split(' ', 2);
    const program = fileURLToPath(new URL(`${kind}${extname(import.meta.filename)}`, programs));
    this.#shared = SharedFile.open(sharedBytesMax);
    const args = [program, device, kind, String(process.pid), String(this.#shared.bytesMax)];
    try {
      this.#process = spawn(process.execPath, ['--no-warnings', ...args], {
        env: childEnvironment(),
        stdio: ['ignore', 'ignore', 'pipe', 'overlapped', this.#shared.fd ?? 'ignore'],
        windowsHide: true,
      });
    } catch (thrown) {
      this.#shared.close();
      throw thrown;
    }
    this.#exited = this.#exit(onExit);
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('latin1')).slice(-stderrMax);
    });
    this.#socket = (this.#process.stdio as ChildProcess['stdio'] | undefined)?.[3] as Socket | undefined;
    if (this.#socket === undefined) return;
    this.#frames = new Frames(this.#socket, this.#shared, {
      onValue: (value) => this.#take(value),
      onBroken: (why) => void this.kill(this.#lost(`by SIGKILL, for it ${why}`)),
    });
    // The end of the process says more.
    this.#socket.on('error', () => undefined);
    this.#socket.once('close', () => {
      const left = setTimeout(() => void this.kill(this.#lost('by SIGKILL, for it no longer listened')), wordsMs);
      left.unref();
      void this.#exited.then(() => clearTimeout(left));
    });
  }

  async #exit(onExit: () => void): Promise<void> {
    const how = await new Promise<string>((resolve) => {
      this.#process.once('exit', (code, signal) => {
        this.isGone = true;
        const status = signal === null ? `with exit code ${code}` : `by ${signal}`;
        // Its last words may still come.
        const timer = setTimeout(() => resolve(status), wordsMs);
        this.#process.once('close', () => {
          clearTimeout(timer);
          resolve(status);
        });
      });
      this.#process.on('error', (error) => {
        // One that never started doesn't exit.
        if (this.#process.pid === undefined) resolve(`before it began: ${messageOf(error)}`);
      });
    });
    this.#end(how);
    onExit();
  }

  get isBusy(): boolean {
    return this.#isTaken;
  }

  get isFree(): boolean {
    return !this.#isTaken && !this.isGone;
  }

  /** Reserves it for a call. */
  take(affinity: string | undefined): this {
    clearTimeout(this.#idle);
    clearTimeout(this.#calm);
    this.#isTaken = true;
    this.affinity = affinity ?? this.affinity;
    this.#process.ref();
    this.#socket?.ref();
    return this;
  }

  /** Lets the process of the node end while this one waits, and ends this one after a while. */
  rest(idleMs: number): void {
    this.#isTaken = false;
    this.#process.unref();
    this.#socket?.unref();
    (this.#process.stderr as { unref?(): void } | null)?.unref?.();
    this.#idle = setTimeout(() => void this.kill(), idleMs);
    this.#idle.unref();
    this.#calm = setTimeout(() => this.#shared.empty(), calmMs);
    this.#calm.unref();
  }

  async call({ method, args }: ChildRequest, hooks: ChildHooks & { memoryMb: number }): Promise<unknown> {
    const { signal, memoryMb } = hooks;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const stop = (): void => void this.kill(signal.reason);
    const watch = setInterval(() => this.#watch(memoryMb), watchMs);
    this.#calls += 1;
    this.#stderr = '';
    const id = this.#calls;
    this.#call = { id, hooks, resolve, reject };
    signal.addEventListener('abort', stop, { once: true });
    try {
      // The process has not begun with it, and stays.
      if (signal.aborted) reject(signal.reason);
      else if (this.isGone) reject(this.#reason ?? this.#lost('before the call'));
      else this.#send({ id, method, args, memoryMb });
      return await promise;
    } finally {
      clearInterval(watch);
      signal.removeEventListener('abort', stop);
      this.#call = undefined;
    }
  }

  /** @param reason what the call under way fails with */
  async kill(reason?: unknown): Promise<void> {
    clearTimeout(this.#idle);
    this.wasKilled = true;
    this.#reason = reason;
    this.isGone = true;
    this.#process.ref();
    this.#process.kill('SIGKILL');
    if (reason !== undefined) this.#call?.reject(reason);
    await this.#exited;
  }

  #send(message: ToChild): void {
    try {
      this.#shared.restart();
      this.#frames?.send(message);
    } catch (thrown) {
      this.#call?.reject(thrown);
    }
  }

  #take(value: unknown): void {
    const call = this.#call;
    const message = isObject(value) ? (value as unknown as FromChild) : undefined;
    if (message === undefined || message.id !== call?.id) return;
    if (message.kind !== 'event' && message.retire) void this.kill();
    switch (message.kind) {
      case 'event':
        try {
          return call.hooks.onEvent?.(message.value);
        } catch (thrown) {
          return void this.kill(thrown);
        }
      case 'done':
        return call.resolve(message.value);
      case 'failed':
        return call.reject(new StepError(message.code, message.message, { retryable: message.retryable }));
    }
  }

  /** The limit that the process sets for itself may be missing, and does not count everything. Only Linux says what there is. */
  #watch(memoryMb: number): void {
    const bytes = residentBytes(this.#process.pid);
    if (bytes === undefined) return;
    this.#baseBytes ??= Math.min(bytes, 128 * mib);
    if (bytes - this.#baseBytes > memoryMb * mib) void this.kill(outOfMemory(memoryMb));
  }

  #end(how: string): void {
    this.isGone = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#calm);
    this.#shared.close();
    this.#call?.reject(this.#lost(how));
  }

  #lost(how: string): StepError {
    const [kind] = this.key.split(' ', 1);
    const limitMb = this.#call?.hooks.memoryMb ?? 0;
    const tail = clip(this.#stderr.trim().split('\n').slice(-3).join(' '), 400);
    if (/out of memory|bad_alloc|cannot allocate|allocation failed/i.test(this.#stderr))
      return outOfMemory(limitMb, tail);
    return new StepError(
      'ML_PROCESS_CRASHED',
      `the ${kind} process ended ${how}${tail === '' ? '' : `; it wrote last: ${tail}`}`,
      { retryable: true },
    );
  }
}

const outOfMemory = (memoryMb: number, tail = ''): StepError =>
  new StepError(
    'ML_OUT_OF_MEMORY',
    `the process needed more than the ${memoryMb} MiB that it may have: give the step more ram_mb, or less to do${tail === '' ? '' : ` (${tail})`}`,
  );

function residentBytes(pid: number | undefined): number | undefined {
  if (process.platform !== 'linux' || pid === undefined) return undefined;
  try {
    const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
