import type { CoordinatorApi, StreamEvent } from '../engine/api.ts';
import { HttpProblem } from './problem.ts';

/** A comment line goes out after so much silence, so that proxies and clients know that the stream lives. */
const HEARTBEAT_MS = 15_000;

/**
 * One event as `text/event-stream` (HTML Standard, section 9.2). The id is the number of journal events up to and including this one, so that
 * a client that comes back with `Last-Event-ID: n` gets the events from sequence number n on. Passing events have no id: they can't be had again.
 */
const encodeEvent = (item: StreamEvent): string =>
  `${item.seq === null ? '' : `id: ${item.seq + 1}\n`}event: ${item.event.kind}\ndata: ${JSON.stringify(item)}\n\n`;

/** @throws HttpProblem INVALID_PARAMS */
export function fromSeqOf(lastEventId: string | undefined): number {
  if (lastEventId === undefined || lastEventId === '') return 0;
  if (!/^\d{1,15}$/.test(lastEventId))
    throw new HttpProblem('INVALID_PARAMS', 'Last-Event-ID is not an id of this stream', {
      hint: 'Send the last id that you received, or none.',
    });
  return Number(lastEventId);
}

export interface EventStreamOptions {
  /** Ends the stream: the client has gone, or the server closes. */
  signal: AbortSignal;
  /** Called once when the stream is over, however it ended. */
  onEnd: () => void;
}

/**
 * The events of one run as a response. Nothing is read ahead of the client: an event is taken from the coordinator when the
 * socket has room, so a slow reader costs no memory here.
 * @throws JSONFlowError NOT_FOUND before the stream begins
 */
export async function eventStream(
  api: CoordinatorApi,
  runId: string,
  fromSeq: number,
  { signal, onEnd }: EventStreamOptions,
): Promise<Response> {
  const stop = new AbortController();
  const stopped = AbortSignal.any([signal, stop.signal]);
  const iterator = api.events(runId, { fromSeq, signal: stopped })[Symbol.asyncIterator]();
  let pending: Promise<IteratorResult<StreamEvent>> | undefined;
  const finish = (): void => {
    stop.abort();
    onEnd();
    // An iterator that waits to be asked again does not hear the signal.
    iterator.return?.().catch(() => {});
  };
  try {
    // The first event of a run always exists; for a later place the run must be asked for, since its next event may be far away.
    const ended = fromSeq > 0 && (await api.result(runId)).status !== 'running';
    pending = iterator.next();
    if (fromSeq === 0 || ended) {
      const first = await pending;
      // 204 tells an EventSource to stop coming back (HTML Standard).
      if (first.done === true) {
        finish();
        return new Response(null, { status: 204 });
      }
    }
  } catch (error) {
    finish();
    throw error;
  }

  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(encoder.encode('retry: 1000\n\n'));
      },
      async pull(controller) {
        try {
          pending ??= iterator.next();
          const item = await withHeartbeat(pending, stopped);
          if (item === 'silent') return controller.enqueue(encoder.encode(': still here\n\n'));
          pending = undefined;
          if (item === 'stopped' || item.done === true) {
            finish();
            return controller.close();
          }
          controller.enqueue(encoder.encode(encodeEvent(item.value)));
        } catch {
          // The head is long sent: all that can be said is the end. The client resumes and then gets the problem.
          finish();
          controller.close();
        }
      },
      cancel: finish,
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' },
  });
}

/** The next item, or what came first: silence for a while, or the end of the stream. */
function withHeartbeat<Item>(next: Promise<Item>, signal: AbortSignal): Promise<Item | 'silent' | 'stopped'> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      act();
    };
    const stop = (): void => settle(() => resolve('stopped'));
    const timer = setTimeout(() => settle(() => resolve('silent')), HEARTBEAT_MS);
    next.then(
      (item) => settle(() => resolve(item)),
      (error: unknown) => settle(() => reject(error)),
    );
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}
