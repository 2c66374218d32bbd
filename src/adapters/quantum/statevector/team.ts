import { extname } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { instantiate, type Kernel } from './kernel.ts';

/** Words that a team shares: how often it was called, whether there is a job, who works, and the job. */
const shared = {
  calls: 0,
  open: 1,
  working: 2,
  memory: 3,
  isDouble: 4,
  job: 5,
  buffer: 6,
  bufferBytes: 7,
  words: 8,
};

export interface Start {
  readonly words: Int32Array;
  readonly port: MessagePort;
  /** Its number in the team; the caller is 0. */
  readonly number: number;
}

/** To the helpers: a memory that jobs may name, or (without) one that none will name any more. */
export interface Lend {
  readonly id: number;
  readonly lent?: { readonly module: WebAssembly.Module; readonly memory: WebAssembly.Memory };
}

export interface Job {
  readonly memory: number;
  readonly isDouble: boolean;
  readonly job: number;
  /** Of the caller; those of the helpers follow. */
  readonly buffer: number;
  readonly bufferBytes: number;
}

const program = new URL(`./helper${extname(import.meta.url)}`, import.meta.url);

/**
 * Helpers of one thread, which take parts of its jobs. The caller works, too, and waits at the end for those who still do. Helpers block while they wait,
 * hear of memories by reading their port when they are called, and may come late or never: the parts are counted in the memory, so that nothing
 * depends on who takes which.
 */
export class Team {
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * shared.words));
  readonly #ports: MessagePort[] = [];
  #memories = 0;

  /** Has so many helpers, at least. They don't keep the process alive. */
  grow(helpers: number): void {
    while (this.#ports.length < helpers) {
      const { port1, port2 } = new MessageChannel();
      const start: Start = { words: this.#words, port: port2, number: this.#ports.length + 1 };
      const worker = new Worker(program, {
        name: 'quantum-helper',
        workerData: start,
        transferList: [port2],
        argv: [],
        env: {},
        execArgv: ['--no-warnings'],
      });
      worker.unref();
      port1.unref();
      // One that is lost is one that takes no part.
      worker.on('error', () => {});
      this.#ports.push(port1);
    }
  }

  /** @returns its name in jobs */
  lend(module: WebAssembly.Module, memory: WebAssembly.Memory): number {
    this.#memories += 1;
    this.#tell({ id: this.#memories, lent: { module, memory } });
    return this.#memories;
  }

  takeBack(id: number): void {
    this.#tell({ id });
    this.#call();
  }

  run(kernel: Kernel, { memory, isDouble, job, buffer, bufferBytes }: Job): void {
    const words = this.#words;
    words[shared.memory] = memory;
    words[shared.isDouble] = isDouble ? 1 : 0;
    words[shared.job] = job;
    words[shared.buffer] = buffer;
    words[shared.bufferBytes] = bufferBytes;
    Atomics.store(words, shared.open, 1);
    this.#call();
    if (isDouble) kernel.workDouble(job, buffer);
    else kernel.workSingle(job, buffer);
    // No part is left. Who comes from here on sees that it is closed; who came before is waited for.
    Atomics.store(words, shared.open, 0);
    for (;;) {
      const working = Atomics.load(words, shared.working);
      if (working === 0) return;
      Atomics.wait(words, shared.working, working);
    }
  }

  #call(): void {
    Atomics.add(this.#words, shared.calls, 1);
    Atomics.notify(this.#words, shared.calls);
  }

  #tell(message: Lend): void {
    for (const port of this.#ports) port.postMessage(message);
  }
}

/** What a helper does for good. @param read the next message, without waiting */
export function help({ words, number }: Start, read: () => Lend | undefined): never {
  const kernels = new Map<number, Kernel>();
  let calls = 0;
  for (;;) {
    Atomics.wait(words, shared.calls, calls);
    calls = Atomics.load(words, shared.calls);
    Atomics.add(words, shared.working, 1);
    try {
      for (let message = read(); message !== undefined; message = read())
        if (message.lent === undefined) kernels.delete(message.id);
        else kernels.set(message.id, instantiate(message.lent.module, message.lent.memory));
      if (Atomics.load(words, shared.open) === 1) takePart(kernels, words, number);
    } finally {
      Atomics.sub(words, shared.working, 1);
      Atomics.notify(words, shared.working);
    }
  }
}

function takePart(kernels: ReadonlyMap<number, Kernel>, words: Int32Array, number: number): void {
  const kernel = kernels.get(words[shared.memory] ?? 0);
  if (kernel === undefined) return;
  const job = words[shared.job] ?? 0;
  const buffer = ((words[shared.buffer] ?? 0) >>> 0) + number * (words[shared.bufferBytes] ?? 0);
  if (words[shared.isDouble] === 1) kernel.workDouble(job, buffer);
  else kernel.workSingle(job, buffer);
}
