import { applyEvent, type OnReady } from '../core/run/fold.ts';
import { asError, type JSONFlowError } from '../lib/errors.ts';
import type { Store } from '../ports/store.ts';
import type { RunEvent } from '../protocol/events.ts';
import type { ActiveRun } from './active-run.ts';

export interface JournalEvents {
  /** What became ready. */
  ready(run: ActiveRun, step: number): void;
  /** Called once a turn, before what happened in it is written: the place to let follow what follows. */
  turn(): void;
  /** Events of a run are durable. */
  durable(run: ActiveRun, events: readonly RunEvent[]): void;
  /** The store failed, or a newer coordinator has taken over: nothing may go on. */
  failed(error: JSONFlowError): void;
}

/**
 * Persist, then act: events go into the state at once, so that the next decision sees them, and what they cause in the world
 * waits until they are durable. All that happens in one turn of the event loop is written together.
 */
export class Journal {
  readonly #store: Store;
  readonly #events: JournalEvents;
  readonly #dirty = new Set<ActiveRun>();
  readonly epoch: number;
  #scheduled = false;
  #stopped = false;
  #underWay = 0;
  #idle: (() => void)[] = [];

  constructor(store: Store, epoch: number, events: JournalEvents) {
    this.#store = store;
    this.epoch = epoch;
    this.#events = events;
  }

  /** Appends an event to a run; `effect` follows once it is durable. */
  emit(run: ActiveRun, event: RunEvent, effect?: () => void): void {
    const onReady: OnReady = (step) => this.#events.ready(run, step);
    applyEvent(run.state, event, onReady);
    run.pending.push(event);
    if (effect !== undefined) run.effects.push(effect);
    this.#dirty.add(run);
    this.schedule();
  }

  /** Makes sure that a turn follows. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#stopped) return;
      this.#events.turn();
      for (const run of this.#dirty) this.#flush(run);
      this.#dirty.clear();
    });
  }

  /** Resolves when everything emitted so far is durable, or has failed. */
  async settled(): Promise<void> {
    if (this.#scheduled) await Promise.resolve();
    if (this.#underWay > 0) await new Promise<void>((wake) => this.#idle.push(wake));
  }

  /** Nothing is written any more. */
  stop(): void {
    this.#stopped = true;
  }

  #flush(run: ActiveRun): void {
    const { pending: events, effects } = run;
    if (events.length === 0) return;
    run.pending = [];
    run.effects = [];
    const seq = run.state.seq - events.length;
    this.#underWay += 1;
    this.#store
      .append({ run_id: run.state.runId, seq, epoch: this.epoch, events })
      .then(() => {
        if (this.#stopped) return;
        for (const effect of effects) effect();
        this.#events.durable(run, events);
      })
      // The store failed; or what follows did, and then the journal says what has not happened.
      .catch((thrown: unknown) => this.#fail(thrown))
      // Last: who waits for the journal to settle must not take a failed write for a durable one.
      .finally(() => this.#ended());
  }

  #fail(thrown: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#events.failed(asError(thrown));
  }

  #ended(): void {
    this.#underWay -= 1;
    if (this.#underWay === 0) for (const wake of this.#idle.splice(0)) wake();
  }
}
