import { RowSink, type RowsState } from '../../../kit/rows.ts';
import { messageOf } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { stateIntervalMs } from '../state-interval.ts';

const intervalMinMs = 5_000;
const version = 1;

/** What the rows came from: rows of another model or device don't go on. */
export interface BatchOrigin {
  model: string;
  device: string;
}

type BatchState = BatchOrigin & { version: number; batches: number; rows: RowsState };

/** What a step has of its rows, kept for another attempt. */
export class BatchProgress {
  readonly sink: RowSink<JSONValue>;
  batches: number;
  readonly #origin: BatchOrigin;
  readonly #context: AdapterContext;
  readonly #beganAt = Date.now();
  #savedAt = this.#beganAt;

  private constructor(sink: RowSink<JSONValue>, batches: number, origin: BatchOrigin, context: AdapterContext) {
    this.sink = sink;
    this.batches = batches;
    this.#origin = origin;
    this.#context = context;
  }

  /** Goes on from where the last attempt's state was saved; afresh where there is none, or where it can't be used. */
  static async begin(
    origin: BatchOrigin,
    inlineMax: number | undefined,
    context: AdapterContext,
  ): Promise<BatchProgress> {
    const state = stateOf(context.last_checkpoint, origin);
    if (state !== undefined)
      try {
        const sink = await RowSink.resume<JSONValue>(state.rows, context, inlineMax);
        return new BatchProgress(sink, state.batches, origin, context);
      } catch (thrown) {
        context.signal.throwIfAborted();
        context.log.warn(`the step begins anew, its last state can't be read: ${messageOf(thrown)}`);
      }
    return new BatchProgress(new RowSink(context, inlineMax), 0, origin, context);
  }

  /** Takes what a batch gave, and saves the state from time to time. */
  async add(rows: readonly JSONValue[]): Promise<void> {
    await this.sink.add(rows);
    this.batches += 1;
    if (!this.#context.keeps_checkpoints) return;
    const now = Date.now();
    if (now - this.#savedAt < stateIntervalMs(intervalMinMs, now - this.#beganAt)) return;
    this.#savedAt = now;
    const state: BatchState = { version, ...this.#origin, batches: this.batches, rows: await this.sink.state() };
    try {
      await this.#context.checkpoint(state as unknown as JSONValue);
    } catch (thrown) {
      this.#context.signal.throwIfAborted();
      this.#context.log.warn(`a state was not kept: ${messageOf(thrown)}`);
    }
  }
}

function stateOf(value: JSONValue | undefined, { model, device }: BatchOrigin): BatchState | undefined {
  if (!isObject(value) || value.version !== version || value.model !== model || value.device !== device)
    return undefined;
  return value as unknown as BatchState;
}
