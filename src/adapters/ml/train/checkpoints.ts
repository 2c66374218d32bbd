import { messageOf } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { EpochMetrics, TrainState } from './job.ts';
import { stateBytesMax } from './limits.ts';

const version = 1;

/** Keeps the last state of a training, one after the other; what is overtaken while another is written is left out. */
export class Checkpoints {
  readonly #context: Pick<AdapterContext, 'checkpoint' | 'log'>;
  #next: TrainState | undefined;
  #writing: Promise<void> | undefined;
  #hasWarned = false;

  constructor(context: Pick<AdapterContext, 'checkpoint' | 'log'>) {
    this.#context = context;
  }

  offer(state: TrainState): void {
    this.#next = state;
    this.#writing ??= this.#write();
  }

  tooLarge(bytes: number): void {
    this.#warn(`no checkpoints are kept: one has ${bytes} bytes, and may have ${stateBytesMax}`);
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    this.#next = undefined;
    await this.#writing;
  }

  async #write(): Promise<void> {
    try {
      while (this.#next !== undefined) {
        const state = this.#next;
        this.#next = undefined;
        await this.#context.checkpoint(encodeState(state));
      }
    } catch (thrown) {
      this.#warn(`a checkpoint was not kept: ${messageOf(thrown)}`);
    } finally {
      this.#writing = undefined;
    }
  }

  #warn(text: string): void {
    if (!this.#hasWarned) this.#context.log.warn(text);
    this.#hasWarned = true;
  }
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');

function encodeState({ epoch, step, history, best, states }: TrainState): JSONObject {
  const kept = best === undefined ? {} : { best: { ...best, weights: base64(best.weights) } };
  return { version, epoch, step, history: history.map((metrics) => ({ ...metrics })), ...kept, states: base64(states) };
}

/** The state that an earlier attempt saved; undefined where there is none that can be read. */
export function decodeState(value: JSONValue | undefined): TrainState | undefined {
  if (!isObject(value) || value.version !== version) return undefined;
  const { epoch, step, history, best, states } = value as unknown as Omit<TrainState, 'best' | 'states'> & {
    best?: { epoch: number; loss: number; weights: string };
    states: string;
  };
  return {
    epoch,
    step,
    history: history as EpochMetrics[],
    best: best && { ...best, weights: Buffer.from(best.weights, 'base64') },
    states: Buffer.from(states, 'base64'),
  };
}
