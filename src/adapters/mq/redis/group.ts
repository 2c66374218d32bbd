import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { deadLetterQueue } from '../headers.ts';
import { queueOf } from '../params.ts';
import { deadFields, type Entry, entryOf } from './entry.ts';
import { isReplyOf, redisError } from './errors.ts';
import type { Link, Reply } from './link.ts';
import { ackAndDeleteScript, claimScript, laterScript, leaveScript, rejectScript, touchScript } from './scripts.ts';

const claimAfterMsDefault = 60_000;
const settleTimeoutMs = 30_000;
const fetchTimeoutMs = 20_000;
/** Ids that one call of a script handles: Redis does nothing else meanwhile. */
const idsPerCall = 1_000;
/** Idle for longer than anybody waits: another consumer may take it at once. */
const releasedIdleMs = 365 * 24 * 3_600_000;
export const groupDefault = 'jsonflow';

export interface Fetched {
  entries: Entry[];
  /** The last entry that the group was given: what comes after it is new. */
  lastId: string;
  /** Ms until a retry is due; undefined where there is none. */
  dueMs: number | undefined;
}

/** A consumer group of a stream, and this process as a consumer in it. */
export class Group {
  readonly stream: string;
  readonly claimAfterMs: number;
  readonly #link: Link;
  readonly #group: string;
  readonly #consumer: string;
  readonly #from: string;
  readonly #deadStream: string;
  readonly #delete: '0' | '1';
  readonly #later: string;

  constructor(link: Link, consumer: string, params: JSONObject) {
    this.#link = link;
    this.#consumer = consumer;
    this.stream = queueOf(params);
    this.#group = typeof params.group === 'string' ? params.group : groupDefault;
    this.#from = startOf(params.from);
    this.claimAfterMs = typeof params.claim_after_ms === 'number' ? params.claim_after_ms : claimAfterMsDefault;
    this.#deadStream = deadLetterQueue(this.stream, params.dead_letter);
    this.#delete = params.delete_acknowledged === true ? '1' : '0';
    this.#later = `${this.stream}:jsonflow:later:${this.#group}`;
  }

  /** Takes up to so many entries for this consumer. The group is made where the stream has none of that name. */
  async fetch(max: number, signal: AbortSignal): Promise<Fetched> {
    try {
      signal.throwIfAborted();
      // What comes after somebody has given up waiting must not stay with this consumer.
      return await abortable(this.#fetch(max), signal, ({ entries }) => {
        if (entries.length > 0) this.release(entries).catch(() => undefined);
      });
    } catch (thrown) {
      signal.throwIfAborted();
      throw this.error(thrown);
    }
  }

  /** Waits for something new, or for a retry to be due, but not for longer than that. */
  async wait({ lastId, dueMs = Number.POSITIVE_INFINITY }: Fetched, ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#link.waitFor(this.stream, lastId, Math.max(1, Math.min(ms, dueMs)), signal);
    } catch (thrown) {
      signal.throwIfAborted();
      throw this.error(thrown);
    }
  }

  ack(entries: readonly Entry[]): Promise<void> {
    return this.#inCalls(entries, (ids) =>
      this.#delete === '1'
        ? this.#settle(ackAndDeleteScript, [this.stream], [this.#group, ...ids])
        : this.#settled(
            this.#link.command(['XACK', this.stream, this.#group, ...ids], AbortSignal.timeout(settleTimeoutMs)),
          ),
    );
  }

  release(entries: readonly Entry[]): Promise<void> {
    return this.#each(touchScript, [this.#group, this.#consumer, String(releasedIdleMs)], entries);
  }

  /** Says that this consumer still has them. */
  touch(entries: readonly Entry[]): Promise<void> {
    return this.#each(touchScript, [this.#group, this.#consumer, '0'], entries);
  }

  async reject({ id, delivery }: Entry, reason: string): Promise<void> {
    const about = { reason, queue: this.stream, deliveries: delivery.deliveriesBefore + 1 };
    const args = [this.#group, this.#delete, id, ...deadFields(delivery, about)];
    await this.#settle(rejectScript, [this.stream, this.#deadStream], args);
  }

  async retryLater({ id }: Entry, delayMs: number): Promise<void> {
    const args = [this.#group, String(Math.ceil(delayMs)), id];
    await this.#settle(laterScript, [this.stream, this.#later], args);
  }

  /** Takes this consumer off the group's list, unless it still holds something. */
  async leave(): Promise<void> {
    await this.#settle(leaveScript, [this.stream], [this.#group, this.#consumer]);
  }

  error(thrown: unknown): StepError {
    return redisError(thrown, `consuming from the stream ${this.stream}`, 'CONSUME_FAILED');
  }

  async #fetch(max: number): Promise<Fetched> {
    const signal = AbortSignal.timeout(fetchTimeoutMs);
    const claimed = await this.#claim(max, signal).catch((thrown) =>
      this.#createAfter(thrown, signal).then(() => this.#claim(max, signal)),
    );
    if (claimed.entries.length < max) await this.#readNew(claimed, max - claimed.entries.length, signal);
    return claimed;
  }

  async #claim(max: number, signal: AbortSignal): Promise<Fetched> {
    const args = [this.#group, this.#consumer, String(max), String(this.claimAfterMs)];
    const reply = await this.#link.script(claimScript, [this.stream, this.#later], args, signal);
    const [entries, lastId, dueMs] = reply as [Reply[], Buffer, number];
    return {
      entries: entries.map((one) => entryOf(one, this.stream)),
      lastId: lastId.toString(),
      dueMs: dueMs < 0 ? undefined : dueMs,
    };
  }

  async #readNew(into: Fetched, max: number, signal: AbortSignal): Promise<void> {
    const consumer = ['XREADGROUP', 'GROUP', this.#group, this.#consumer];
    const reply = await this.#link.command([...consumer, 'COUNT', String(max), 'STREAMS', this.stream, '>'], signal);
    if (!Array.isArray(reply)) return;
    const [, entries] = reply[0] as [Buffer, [Buffer, Reply][]];
    for (const [id, fields] of entries) into.entries.push(entryOf([id, 1, fields], this.stream));
    into.lastId = into.entries.at(-1)?.id ?? into.lastId;
  }

  async #createAfter(thrown: unknown, signal: AbortSignal): Promise<void> {
    if (!(thrown instanceof Error && thrown.message.includes('NOGROUP'))) throw thrown;
    if ((await this.#link.command(['EXISTS', this.stream], signal)) === 0)
      throw new StepError(
        'QUEUE_NOT_FOUND',
        `consuming from the stream ${this.stream}: there is no such stream; create it with mq_create_queue`,
      );
    await this.#link.command(['XGROUP', 'CREATE', this.stream, this.#group, this.#from], signal).catch((refused) => {
      if (!isReplyOf(refused, 'BUSYGROUP')) throw refused;
    });
  }

  #each(script: string, args: readonly string[], entries: readonly Entry[]): Promise<void> {
    return this.#inCalls(entries, (ids) => this.#settle(script, [this.stream], [...args, ...ids]));
  }

  async #inCalls(entries: readonly Entry[], call: (ids: string[]) => Promise<void>): Promise<void> {
    for (let index = 0; index < entries.length; index += idsPerCall)
      await call(entries.slice(index, index + idsPerCall).map(({ id }) => id));
  }

  #settle(script: string, keys: readonly string[], args: Parameters<Link['script']>[2]): Promise<void> {
    return this.#settled(this.#link.script(script, keys, args, AbortSignal.timeout(settleTimeoutMs)));
  }

  async #settled(call: Promise<Reply>): Promise<void> {
    try {
      await call;
    } catch (thrown) {
      throw this.error(thrown);
    }
  }
}

/** Where a new group begins, as Redis writes it. */
export function startOf(from: JSONObject[string] | undefined): string {
  if (from === undefined || from === 'earliest') return '0';
  if (from === 'latest') return '$';
  const text = String(from);
  if (/^\d+(-\d+)?$/.test(text)) return text;
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return `${time}-0`;
  throw new StepError('INVALID_PARAMS', 'params.from must be earliest, latest, an entry id or a time');
}
