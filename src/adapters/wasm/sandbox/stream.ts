import type { JSONValue } from '../../../lib/json.ts';
import type { CallInput } from '../abi/params.ts';
import { factsOf, resultOf, SandboxFailure } from './answers.ts';
import { compact, copyOf } from './compact.ts';
import type { RunFacts, StreamOrder } from './order.ts';
import { Producer } from './producer.ts';
import { crashed, type WorkerThread } from './worker-thread.ts';

/** Items that may be on their way to the reader. */
const creditsMax = 4;

export interface StreamState {
  facts: RunFacts;
}

/** One item in, one out, through a function that is called again and again. The thread is clean after a stream that ended or failed by itself. */
export async function* streamItems(
  thread: WorkerThread,
  order: StreamOrder,
  input: AsyncIterable<CallInput> | Iterable<CallInput>,
  state: StreamState,
): AsyncGenerator<JSONValue | Uint8Array, void, undefined> {
  const { fuelPerChunk, finish, plan, settings } = order;
  const read = (outcome: Parameters<typeof resultOf>[0]): JSONValue | Uint8Array =>
    resultOf(outcome, plan.output, settings.outputBytesMax);
  thread.post({
    kind: 'open',
    ...(fuelPerChunk === undefined ? {} : { fuelPerChunk }),
    ...(finish === undefined ? {} : { finish }),
    ...thread.instanceMessage(order),
  });
  const producer = new Producer(input, {
    credits: creditsMax,
    item: (value) => postItem(thread, value),
    end: () => thread.post({ kind: 'end' }),
    failed: (reason) => thread.end(reason),
  });
  let isClean = false;
  try {
    for (;;) {
      const answer = await thread.next();
      if (answer.kind === 'failed') {
        isClean = true;
        const failure = new SandboxFailure(answer);
        state.facts = failure.facts;
        throw failure;
      }
      if (answer.kind === 'gave') {
        state.facts = { ...state.facts, fuelUsed: answer.fuelUsed };
        yield read(answer.outcome);
        producer.credit();
        continue;
      }
      if (answer.kind !== 'closed') throw crashed('it answered something else');
      isClean = true;
      state.facts = factsOf(answer.facts);
      if (answer.outcome !== undefined) yield read(answer.outcome);
      return;
    }
  } finally {
    if (!isClean) thread.end(crashed('its stream was left'));
    await producer.stop();
  }
}

function postItem(thread: WorkerThread, input: CallInput): void {
  if (input.kind === 'input' && input.value instanceof Uint8Array) {
    const value = copyOf(input.value);
    thread.post({ kind: 'item', input: { kind: 'input', value } }, [value.buffer]);
  } else thread.post({ kind: 'item', input: compact(input) });
}
