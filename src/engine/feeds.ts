import type { Store } from '../ports/store.ts';
import type { PassingEvent, StreamEvent } from './api.ts';

const pageSize = 500;
/** Passing events kept for a reader that is busy; the oldest give way. */
const passingMax = 256;

interface Reader {
  passing: PassingEvent[];
  /** Journal events that are durable, as far as this reader has heard. */
  news: boolean;
  wake: (() => void) | undefined;
}

/** Event streams of runs. The journal is read at each reader's own pace; nothing is held for the slow. */
export class Feeds {
  readonly #store: Store;
  readonly #readers = new Map<string, Set<Reader>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Tells the readers of a run that its journal has grown. */
  grown(runId: string): void {
    for (const reader of this.#readers.get(runId) ?? []) {
      reader.news = true;
      reader.wake?.();
    }
  }

  pass(runId: string, event: PassingEvent): void {
    for (const reader of this.#readers.get(runId) ?? []) {
      reader.passing.push(event);
      if (reader.passing.length > passingMax) reader.passing.shift();
      reader.wake?.();
    }
  }

  async *read(runId: string, fromSeq: number, signal: AbortSignal | undefined): AsyncGenerator<StreamEvent> {
    const reader: Reader = { passing: [], news: true, wake: undefined };
    const readers = this.#readers.get(runId) ?? new Set();
    this.#readers.set(runId, readers.add(reader));
    const onAbort = () => reader.wake?.();
    signal?.addEventListener('abort', onAbort);
    let seq = fromSeq;
    try {
      while (signal?.aborted !== true) {
        if (reader.news) {
          reader.news = false;
          const events = await this.#store.read(runId, seq, pageSize);
          for (const event of events) {
            yield { seq, event };
            seq += 1;
            if (event.kind === 'run.completed') return;
          }
          reader.news ||= events.length === pageSize;
        }
        for (const event of reader.passing.splice(0)) yield { seq: null, event };
        if (reader.news || reader.passing.length > 0) continue;
        await new Promise<void>((wake) => {
          reader.wake = wake;
          if (signal?.aborted === true) wake();
        });
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      readers.delete(reader);
      if (readers.size === 0) this.#readers.delete(runId);
    }
  }
}
