import { EvidenceError } from '../lib/errors.ts';
import type { Store } from '../ports/store.ts';
import type { Stored } from '../protocol/events.ts';
import type { AttemptKey, MessageOf } from '../protocol/messages.ts';
import type { ActiveRun } from './active-run.ts';
import { checkStored } from './evidence.ts';
import type { Member } from './members.ts';

interface CheckpointEvents {
  /** Whether the attempt is still the one that is waited for. */
  isWanted(run: ActiveRun, member: Member, key: AttemptKey): boolean;
  save(run: ActiveRun, member: Member, message: MessageOf<'checkpoint'>, state: Stored): void;
  /** @param thrown EvidenceError where the node is to blame */
  refuse(run: ActiveRun, member: Member, message: MessageOf<'checkpoint'>, thrown: unknown): void;
}

interface Arrived {
  run: ActiveRun;
  member: Member;
  message: MessageOf<'checkpoint'>;
}

/** Checks the states that attempts save before they are journaled: a later attempt depends on them. */
export class Checkpoints {
  readonly #store: Store;
  readonly #events: CheckpointEvents;
  /** The newest of each step while the store is asked about it or an earlier one, so that none overtakes another. */
  readonly #newest = new Map<string, Arrived>();

  constructor(store: Store, events: CheckpointEvents) {
    this.#store = store;
    this.#events = events;
  }

  /** @param message of an attempt that is waited for */
  take(run: ActiveRun, member: Member, message: MessageOf<'checkpoint'>): void {
    const step = `${message.run_id}/${message.step_id}`;
    const arrived = { run, member, message };
    const busy = this.#newest.has(step);
    if (busy || 'digest' in message.state) {
      this.#newest.set(step, arrived);
      if (!busy) void this.#settle(step, arrived);
    } else this.#end(arrived, undefined);
  }

  /** Earlier ones need no answer: a node waits for that to its newest only. */
  async #settle(step: string, first: Arrived): Promise<void> {
    for (let arrived = first; ; ) {
      let problem: unknown;
      try {
        await this.#expectStored(arrived.message.state);
      } catch (thrown) {
        problem = thrown;
      }
      const newest = this.#newest.get(step) ?? arrived;
      if (newest === arrived) {
        this.#newest.delete(step);
        return this.#end(arrived, problem);
      }
      arrived = newest;
    }
  }

  async #expectStored(state: Stored): Promise<void> {
    if ('digest' in state && !(await this.#store.hasBlob(state.digest)))
      throw new EvidenceError('the state is said to be stored, but it is not');
  }

  #end({ run, member, message }: Arrived, problem: unknown): void {
    if (!this.#events.isWanted(run, member, message)) return;
    if (problem !== undefined) return this.#events.refuse(run, member, message, problem);
    let state: Stored;
    try {
      state = checkStored(message.state).stored;
    } catch (thrown) {
      return this.#events.refuse(run, member, message, thrown);
    }
    this.#events.save(run, member, message, state);
  }
}
