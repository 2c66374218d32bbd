import { abortable } from '../../../kit/abortable.ts';
import type { Model, Runner } from '../model/runner.ts';
import { concatRows, rowsOf, sameShape, type Tensor } from '../tensor/tensor.ts';

type Tensors = Record<string, Tensor>;
type Run = (inputs: Tensors, signal: AbortSignal) => Promise<Tensors>;

/** A step's rows that wait to be run together with others. */
interface Waiting {
  inputs: Tensors;
  rows: number;
  signal: AbortSignal;
  resolve(outputs: Tensors): void;
  reject(reason: unknown): void;
}

interface Lane {
  queue: Waiting[];
  busy: boolean;
  /** Its outputs have no row for each row of the inputs, whatever its axes are called. */
  alone: boolean;
}

const rowsMax = 1024;
/** How long what comes later waits for a run; then it no longer shares the fate of a model that may never end. */
const patienceMs = 1_000;
/** How long a run may go on once one of its steps has ended: that may have been the one that holds up all. */
const graceMs = 1_000;
const lanesMax = 1000;

/**
 * Runs the rows of concurrent steps together. While a model runs, what comes for it waits, and goes as one batch when it is done: nothing waits
 * where nothing runs, and the busier a model is, the larger its batches become. A run that takes long is no longer waited for, and one that a
 * step has left, by its time-out perhaps, is given up soon: the others are run again, each alone.
 *
 *     idle ── rows come ──▶ busy ── done, others wait ──▶ busy (all of them, up to `rowsMax`)
 *                             └──── done, nobody waits ──▶ idle
 */
export class Batcher {
  readonly #runner: Pick<Runner, 'run'>;
  readonly #lanes = new Map<string, Lane>();
  /** For whoever measures: runs of models, and steps that shared one. */
  readonly counts = { runs: 0, shared: 0 };

  constructor(runner: Pick<Runner, 'run'>) {
    this.#runner = runner;
  }

  /**
   * @param rows of each input and, if the model keeps what its axes promise, of each output
   * @throws as `Runner.run`: a failure that others caused is found out by running alone
   */
  run(
    model: Model,
    device: string,
    inputs: Tensors,
    rows: number,
    outputs: string[],
    signal: AbortSignal,
  ): Promise<Tensors> {
    const key = JSON.stringify([model.key, device, outputs]);
    const lane = this.#lanes.get(key) ?? { queue: [], busy: false, alone: false };
    this.#lanes.set(key, lane);
    const { promise, resolve, reject } = Promise.withResolvers<Tensors>();
    lane.queue.push({ inputs, rows, signal, resolve, reject });
    if (!lane.busy) {
      lane.busy = true;
      // What is started in this turn of the event loop goes together.
      setImmediate(
        () => void this.#work(lane, key, (batch, until) => this.#runner.run(model, device, batch, outputs, until)),
      );
    }
    return abortable(promise, signal);
  }

  async #work(lane: Lane, key: string, run: Run): Promise<void> {
    while (lane.queue.length > 0) {
      const batch = take(lane.queue, lane.alone ? 0 : rowsMax);
      if (batch.length > 0) await atMost(this.#runBatch(lane, batch, run), patienceMs);
    }
    lane.busy = false;
    if (this.#lanes.size > lanesMax) this.#lanes.delete(key);
  }

  async #runBatch(lane: Lane, batch: readonly Waiting[], run: Run): Promise<void> {
    this.counts.runs += 1;
    if (batch.length > 1) this.counts.shared += batch.length;
    const { signal, done } = untilAllEnd(batch.map((waiting) => waiting.signal));
    try {
      const outputs = await run(together(batch), signal);
      if (batch.length === 1) batch[0]?.resolve(outputs);
      else if (!share(batch, outputs)) {
        lane.alone = true;
        await this.#runApart(lane, batch, run);
      }
    } catch (thrown) {
      if (batch.length === 1) batch[0]?.reject(thrown);
      // One may have spoilt it for all.
      else await this.#runApart(lane, batch, run);
    } finally {
      done();
    }
  }

  async #runApart(lane: Lane, batch: readonly Waiting[], run: Run): Promise<void> {
    for (const waiting of batch) if (!waiting.signal.aborted) await this.#runBatch(lane, [waiting], run);
  }
}

/** The next ones that fit together, without those whose steps have ended; the others stay. */
function take(queue: Waiting[], most: number): Waiting[] {
  const taken: Waiting[] = [];
  let rows = 0;
  for (let [next] = queue; next !== undefined; [next] = queue) {
    const [first] = taken;
    if (!next.signal.aborted) {
      if (first !== undefined && (rows + next.rows > most || !fitsWith(first, next))) break;
      taken.push(next);
      rows += next.rows;
    }
    queue.shift();
  }
  return taken;
}

const fitsWith = (a: Waiting, b: Waiting): boolean =>
  Object.entries(a.inputs).every(([name, tensor]) => {
    const other = b.inputs[name];
    return other !== undefined && other.dtype === tensor.dtype && sameShape(tensor.shape, other.shape, 1);
  });

function together(batch: readonly Waiting[]): Tensors {
  const [first] = batch;
  if (first === undefined || batch.length === 1) return first?.inputs ?? {};
  return Object.fromEntries(
    Object.keys(first.inputs).map((name) => [name, concatRows(batch.flatMap(({ inputs }) => inputs[name] ?? []))]),
  );
}

/** Each gets its rows; false where an output has others. */
function share(batch: readonly Waiting[], outputs: Tensors): boolean {
  const total = batch.reduce((sum, { rows }) => sum + rows, 0);
  if (Object.values(outputs).some(({ shape }) => shape[0] !== total)) return false;
  let from = 0;
  for (const { rows, resolve } of batch) {
    const to = from + rows;
    resolve(Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, rowsOf(tensor, from, to)])));
    from = to;
  }
  return true;
}

/** Resolves when the promise does, or when the time is over. */
async function atMost(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, over]);
  clearTimeout(timer);
}

/** Aborted once all are, and a little after the first is. */
function untilAllEnd(signals: readonly AbortSignal[]): { signal: AbortSignal; done(): void } {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const check = (): void => {
    const ended = signals.filter(({ aborted }) => aborted);
    const end = (): void => stop.abort(ended.at(-1)?.reason);
    if (ended.length === signals.length) end();
    else if (ended.length > 0) timer ??= setTimeout(end, graceMs);
  };
  for (const signal of signals) signal.addEventListener('abort', check, { once: true });
  check();
  return {
    signal: stop.signal,
    done() {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', check);
    },
  };
}
