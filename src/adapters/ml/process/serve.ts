import { Socket } from 'node:net';
import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { SharedFile } from './exchange.ts';
import { Frames } from './frames.ts';
import { dieWithParent, limitMemory } from './limits.ts';
import { mapFile } from './mapping.ts';
import type { FromChild, ToChild } from './messages.ts';

export interface ServeHooks {
  /** Tells whoever called, before the answer. */
  emit(event: unknown): void;
  /** This process is spoilt: it ends after this call. */
  retire(): void;
}

/** Methods of a child program, by name. What they throw is told the caller: a StepError as it is, anything else as ML_RUNTIME_FAILED. */
type Methods = Readonly<Record<string, (args: never, hooks: ServeHooks) => unknown>>;

/** What a process is spoken to through: stdin, stdout and stderr come before it, and the file for large tensors after it. */
const channel = 3;
const sharedFd = 4;

/**
 * The main loop of a child program: answers what it is asked, and ends with its parent, whatever native code does then.
 * @param borrows whether no method writes to the large tensors that it is given, or keeps them: then they are not copied
 */
export function serve(methods: Methods, borrows = false): void {
  dieWithParent(Number(process.argv[4]));
  const socket = new Socket({ fd: channel });
  const leave = (): never => process.exit();
  const file = sharedFile(borrows);
  const frames = new Frames(socket, file, {
    onValue: (message) =>
      void answer(methods, message as ToChild, (told) => frames.send(told)).then(() => file.restart()),
    onBroken: leave,
  });
  socket.on('error', leave).on('close', leave);
}

function sharedFile(borrows: boolean): SharedFile {
  const bytesMax = Number(process.argv[5] ?? 0);
  if (bytesMax === 0) return new SharedFile(undefined, 0);
  return new SharedFile(sharedFd, bytesMax, borrows ? mapFile(sharedFd, bytesMax) : undefined);
}

async function answer(
  methods: Methods,
  { id, method, args, memoryMb }: ToChild,
  tell: (message: FromChild) => void,
): Promise<void> {
  let retire = false;
  try {
    limitMemory(memoryMb);
    const run = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (run === undefined) throw new StepError('ML_RUNTIME_FAILED', `the process has no method "${method}"`);
    const value = await run(args as never, {
      emit: (event) => tell({ kind: 'event', id, value: event }),
      retire() {
        retire = true;
      },
    });
    tell({ kind: 'done', id, value, retire });
  } catch (thrown) {
    tell({ kind: 'failed', id, retire, ...failureOf(thrown) });
  }
}

const wantsMemory = /bad_alloc|out of memory|failed to allocate|allocation failed|cannot allocate/i;

function failureOf(thrown: unknown): { code: string; message: string; retryable: boolean } {
  if (thrown instanceof StepError) return { code: thrown.code, message: thrown.message, retryable: thrown.retryable };
  const message = clip(messageOf(thrown), 1000);
  return { code: wantsMemory.test(message) ? 'ML_OUT_OF_MEMORY' : 'ML_RUNTIME_FAILED', message, retryable: false };
}
