import { type CallInput, payloadOf } from '../abi/params.ts';
import { factsOf, SandboxFailure } from './answers.ts';
import type { StreamOrder } from './order.ts';
import { Producer } from './producer.ts';
import { Ring } from './ring.ts';
import type { StreamState } from './stream.ts';
import { crashed, type WorkerThread } from './worker-thread.ts';

const ringBytes = 512 * 1024;
const newline = Buffer.from('\n');

/**
 * Items in through a program's standard input, its standard output out in pieces of equal size, so that they don't depend on who was faster. The
 * rings hold back whoever is ahead.
 */
export async function* pipeItems(
  thread: WorkerThread,
  order: StreamOrder,
  input: AsyncIterable<CallInput> | Iterable<CallInput>,
  state: StreamState,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stdin = new Ring(ringBytes);
  const stdout = new Ring(ringBytes);
  let isOver = false;
  const stopWriting = (): void => {
    isOver = true;
    stdin.wake();
  };
  thread.post({ kind: 'pipe', stdin: stdin.shared, stdout: stdout.shared, ...thread.instanceMessage(order) });
  thread.onGone(() => {
    stopWriting();
    stdout.end();
  });
  const producer = new Producer(input, {
    credits: Number.POSITIVE_INFINITY,
    item: async (value) => {
      for (const bytes of bytesOf(value)) await stdin.writeAll(bytes, () => isOver);
    },
    end: () => stdin.end(),
    failed: (reason) => thread.end(reason),
  });
  let isClean = false;
  try {
    // As bytes, in whatever form the whole is wanted: a piece may end within a character, and what looks like JSON may be a part of a text.
    yield* pieces(stdout, order.chunkBytes ?? 65_536);
    const answer = await thread.next();
    isClean = true;
    if (answer.kind === 'failed') {
      const failure = new SandboxFailure(answer);
      state.facts = failure.facts;
      throw failure;
    }
    if (answer.kind !== 'closed') throw crashed('it answered something else');
    state.facts = factsOf(answer.facts);
  } finally {
    if (!isClean) thread.end(crashed('its stream was left'));
    stopWriting();
    await producer.stop();
  }
}

function bytesOf(input: CallInput): Uint8Array[] {
  const bytes = payloadOf(input);
  return input.kind === 'input' && input.value instanceof Uint8Array ? [bytes] : [bytes, newline];
}

async function* pieces(ring: Ring, size: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  let piece = new Uint8Array(size);
  let filled = 0;
  for (;;) {
    const count = await ring.readSome(piece.subarray(filled));
    if (count === undefined) break;
    filled += count;
    if (filled < size) continue;
    yield piece;
    piece = new Uint8Array(size);
    filled = 0;
  }
  if (filled > 0) yield piece.slice(0, filled);
}
