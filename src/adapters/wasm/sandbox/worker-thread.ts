import { extname } from 'node:path';
import { type Transferable, Worker } from 'node:worker_threads';
import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import type { FromThread, InstanceMessage, ToThread } from './messages.ts';
import type { InstanceOrder } from './order.ts';

const program = new URL(`./thread${extname(import.meta.url)}`, import.meta.url);
/** More answers than that without a question never come from our own program. */
const inboxMax = 64;

export interface ThreadSettings {
  stackSizeMb: number;
  heapMb: number;
  modulesMax: number;
}

/** The main side of one thread: it has one user at a time, who posts and reads in turn. */
export class WorkerThread {
  /** Whether it ever answered: one that can't even start is not started again and again. */
  hasWorked = false;
  /** When it began to have nothing to do, in ms. */
  idleSinceMs = 0;
  readonly #worker: Worker;
  readonly #settings: ThreadSettings;
  readonly #exited: Promise<void>;
  /** Keys of the modules that the thread holds, the longest unused first. */
  readonly #keys = new Map<string, true>();
  readonly #inbox: FromThread[] = [];
  #waiter: PromiseWithResolvers<FromThread> | undefined;
  #gone: { reason: unknown } | undefined;
  #onGone: (() => void) | undefined;

  constructor(settings: ThreadSettings) {
    this.#settings = settings;
    this.#worker = new Worker(program, {
      name: 'wasm-sandbox',
      argv: [],
      env: {},
      execArgv: ['--no-warnings'],
      stdin: false,
      // Kept from ours, and not read: a stream that is read would keep the process. Nothing in the thread writes to it.
      stdout: true,
      stderr: true,
      resourceLimits: {
        stackSizeMb: settings.stackSizeMb,
        maxOldGenerationSizeMb: settings.heapMb,
        maxYoungGenerationSizeMb: 32,
      },
    });
    this.#worker.on('message', (message: FromThread) => this.#take(message));
    this.#worker.on('error', (error: NodeJS.ErrnoException) => this.#lose(crashed(reasonOf(error))));
    this.#worker.on('messageerror', () => this.end(crashed('an answer of it could not be read')));
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#lose(crashed('it ended'));
        resolve();
      });
    });
  }

  get isGone(): boolean {
    return this.#gone !== undefined;
  }

  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Busy threads keep the process alive, idle ones don't. */
  hold(busy: boolean): void {
    if (busy) this.#worker.ref();
    else this.#worker.unref();
    this.#onGone = undefined;
  }

  /** Called once, when the thread is lost while its present user has it. */
  onGone(listener: () => void): void {
    if (this.isGone) listener();
    else this.#onGone = listener;
  }

  /** What an instance is made from, with the module itself where the thread has not got it. */
  instanceMessage({ module, policy, plan, settings, fuel }: InstanceOrder): InstanceMessage {
    const { key } = module;
    const isKnown = this.#keys.delete(key);
    this.#keys.set(key, true);
    const forget: string[] = [];
    for (const old of this.#keys.keys()) {
      if (this.#keys.size <= this.#settings.modulesMax) break;
      this.#keys.delete(old);
      forget.push(old);
    }
    const message = { key, forget, policy, plan, settings, fuel };
    return isKnown ? message : { ...message, loaded: { module: module.module, shape: module.shape } };
  }

  post(message: ToThread, transfer: Transferable[] = []): void {
    if (this.isGone) return;
    try {
      this.#worker.postMessage(message, transfer);
    } catch (thrown) {
      // No room for a copy, say: the thread lacks what it is taken to have now.
      this.end(crashed(`a message to it could not be sent: ${clip(messageOf(thrown), 300)}`));
    }
  }

  /** The next answer. @throws why the thread is gone */
  next(): Promise<FromThread> {
    const message = this.#inbox.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.#gone !== undefined) return Promise.reject(this.#gone.reason);
    this.#waiter = Promise.withResolvers();
    return this.#waiter.promise;
  }

  /** Ends it at once, whatever it is doing; its user gets the reason. */
  end(reason: unknown): void {
    this.#lose(reason);
    void this.#worker.terminate();
  }

  #take(message: FromThread): void {
    if (this.isGone) return;
    this.hasWorked = true;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter !== undefined) waiter.resolve(message);
    else if (this.#inbox.push(message) > inboxMax) this.end(crashed('it said too much'));
  }

  #lose(reason: unknown): void {
    if (this.#gone !== undefined) return;
    this.#gone = { reason };
    this.#inbox.length = 0;
    this.#waiter?.reject(reason);
    this.#waiter = undefined;
    this.#onGone?.();
  }
}

export const crashed = (why: string): StepError =>
  new StepError('SANDBOX_CRASHED', `the thread of the sandbox was lost: ${why}`, { retryable: true });

const reasonOf = (error: NodeJS.ErrnoException): string =>
  error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'it needed more memory than it may have' : clip(error.message, 300);
