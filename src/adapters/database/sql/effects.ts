import { digestOf } from '../../../lib/canonical.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Call } from '../driver.ts';
import { SqlFailure } from '../errors.ts';
import type { Mode, Session, SqlServer } from './session.ts';

const pruneEveryMs = 3_600_000;
/** Tries at taking the key: the table may have to be made, and whoever holds it may give up. */
const turnsMax = 5;

/** What identifies an effect besides its key: the params without what may change between two attempts, such as a password. */
export class Digest {
  readonly #type: string;
  readonly #params: JSONObject;
  #value: string | undefined;

  constructor(type: string, params: JSONObject) {
    this.#type = type;
    this.#params = params;
  }

  get value(): string {
    if (this.#value !== undefined) return this.#value;
    const { connection: _connection, options: _options, ...rest } = this.#params;
    this.#value = digestOf({ type: this.#type, params: rest });
    return this.#value;
  }

  /** Works it out while the server is busy. */
  prepare(): void {
    setImmediate(() => {
      try {
        void this.value;
      } catch {
        // Whoever needs it gets the failure.
      }
    });
  }
}

/**
 * The table `_jsonflow_effects`. A write's key goes into it first, in the write's own transaction: whoever comes second waits for the
 * first to end, and then finds the output, or the way free.
 */
export class Effects {
  readonly #server: SqlServer;
  #prunedMs = Number.NEGATIVE_INFINITY;

  constructor(server: SqlServer) {
    this.#server = server;
  }

  /**
   * Begins a transaction that holds the key.
   * @returns the output of the attempt that had its effect; then there is no transaction
   * @throws SqlFailure
   */
  async begin(session: Session, call: Call, mode: Mode, digest: Digest, turn = 1): Promise<JSONObject | undefined> {
    const { effectKey } = call;
    if (effectKey === undefined) {
      await session.begin(mode, []);
      return undefined;
    }
    const { insert } = this.#server.dialect.effects;
    try {
      await session.begin(mode, [{ text: insert, values: [effectKey], reuse: true }]);
      return undefined;
    } catch (thrown) {
      await session.rollback();
      if (!(thrown instanceof SqlFailure)) throw thrown;
      if (turn >= turnsMax) throw thrown;
      if (thrown.kind === 'no table') await this.#create(session);
      else if (thrown.kind !== 'unique') throw thrown;
      else {
        const output = await this.#answer(session, effectKey, digest);
        if (output !== undefined) return output;
      }
      return this.begin(session, call, mode, digest, turn + 1);
    }
  }

  /** Stores the output and commits. */
  async commit(session: Session, call: Call, output: JSONObject, digest: Digest): Promise<void> {
    const { update } = this.#server.dialect.effects;
    if (call.effectKey === undefined) return session.commit([]);
    await session.commit([
      { text: update, values: [JSON.stringify(output), digest.value, call.effectKey], reuse: true },
    ]);
  }

  /** Removes a bounded number of old rows, now and then. Failures don't matter: the next time will do. */
  async prune(session: Session): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#prunedMs < pruneEveryMs) return;
    this.#prunedMs = nowMs;
    try {
      await session.begin({ readOnly: false, timeoutMs: 5_000 }, [
        { text: this.#server.dialect.effects.prune, values: [], reuse: false },
      ]);
      await session.commit([]);
    } catch {
      await session.rollback();
    }
  }

  async #answer(session: Session, effectKey: string, digest: Digest): Promise<JSONObject | undefined> {
    const { select } = this.#server.dialect.effects;
    const { rows } = await session.run({ text: select, values: [effectKey], reuse: true });
    const [row] = rows;
    // The attempt that was in the way has given up meanwhile.
    if (row === undefined) return undefined;
    if (typeof row.output !== 'string')
      throw new StepError(
        'EFFECT_INTERRUPTED',
        'an earlier attempt at this step ended its transaction by itself, so it is not known what it did; look at the data, then delete its row from _jsonflow_effects',
      );
    if (row.params_digest !== digest.value)
      throw new StepError(
        'EFFECT_CONFLICT',
        'this step of this run has had its effect already, with other params; nothing was changed',
      );
    return JSON.parse(row.output) as JSONObject;
  }

  async #create(session: Session): Promise<void> {
    for (const text of this.#server.dialect.effects.create) {
      try {
        await session.script(text);
      } catch (thrown) {
        if (thrown instanceof SqlFailure && (thrown.kind === 'unique' || thrown.kind === 'exists')) continue;
        if (thrown instanceof SqlFailure && !thrown.broken && !thrown.retryable)
          throw new SqlFailure(
            'EFFECTS_UNAVAILABLE',
            `the table _jsonflow_effects can't be made (${thrown.message}); make it yourself (docs/adapters/database.md), or set idempotency to "off"`,
            { cause: thrown },
          );
        throw thrown;
      }
    }
  }
}
