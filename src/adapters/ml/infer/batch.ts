import { isStoredData, readLines } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../../../ports/adapter.ts';
import { readTensor, type Wanted } from '../tensor/from-json.ts';
import { rowsOf, type Tensor } from '../tensor/tensor.ts';
import { listsOf } from '../tensor/to-json.ts';
import { BatchProgress } from './batch-state.ts';
import { type InferDeps, mainOutput, prepare, provenance } from './infer.ts';
import { type InferOptions, optionsOf } from './options.ts';
import { activate, topK } from './postprocess.ts';
import { wantedOf } from './read-inputs.ts';
import { inputsOf, inputsOfTensors, type ReadyModel, runRows } from './run-model.ts';

const batchSizeDefault = 32;
/** Batches under way at once: while one is run, the next is read and the last is written. */
const aheadMax = 2;

/**
 * The step `ml_batch`: runs a model over rows, batch by batch. Output: `result` (a list with what the model gave for each row, or stored rows
 * where they are many), `row_count`, `batches`, `model_digest`, `device`.
 *
 * @throws StepError with the codes of docs/adapters/ml.md; what a row is refused for names the row
 */
export async function mlBatch({ params }: AdapterStep, context: AdapterContext, deps: InferDeps): Promise<JSONObject> {
  const options = optionsOf(params);
  const batchSize = options.batchSize ?? batchSizeDefault;
  const model = await prepare(params, options, context, deps);
  const { max_rows_inline: inlineMax } = params;
  const given = params.input ?? null;
  const total = rowsGiven(given);
  // What the step says of its progress is said of rows, not of the runs of a batch.
  const { blobs, resources, assets, pin, redact } = context;
  // Once a batch has failed, one that is under way beside it has nobody to give its answer to.
  const left = new AbortController();
  const signal = AbortSignal.any([context.signal, left.signal]);
  const quiet = { signal, blobs, resources, assets, pin, redact, progress: () => undefined };
  const run = async (batch: Batch): Promise<JSONValue[]> => {
    const inputs =
      batch.tensor === undefined
        ? await inputsOf(batch.input ?? null, options, model, quiet, deps, batch.path)
        : await inputsOfTensors({ [onlyInput(model)]: batch.tensor }, options, model, quiet, deps, batch.path);
    const { outputs } = await runRows(model, inputs, { ...options, batchSize, dynamicBatching: false }, deps, quiet);
    return rowValues(outputs, batch.rows, options, model);
  };
  const origin = { model: model.model.key, device: model.device };
  try {
    const progress = await BatchProgress.begin(origin, typeof inlineMax === 'number' ? inlineMax : undefined, context);
    const { sink } = progress;
    const batches = batchesOf(given, batchSize, wantedOfModel(model, options), context, sink.count);
    for await (const rows of ahead(batches, run)) {
      await progress.add(rows);
      context.progress(total === undefined ? null : Math.min(1, sink.count / total), `${sink.count} rows`);
      context.signal.throwIfAborted();
    }
    const gathered = await sink.end();
    return {
      result: 'stored' in gathered ? (gathered.stored as unknown as JSONValue) : gathered.rows,
      row_count: gathered.row_count,
      batches: progress.batches,
      ...provenance(model),
    };
  } finally {
    left.abort();
    await model.remote?.close();
  }
}

/** Bytes that don't say what they are, are what the model takes. */
function wantedOfModel({ info: { inputs } }: ReadyModel, { preprocess }: InferOptions): Wanted {
  const [first] = inputs;
  return first === undefined || preprocess !== undefined ? {} : wantedOf(first);
}

interface Batch {
  input?: JSONValue;
  /** Instead of `input`: rows of a tensor. */
  tensor?: Tensor;
  rows: number;
  /** For errors: rows are counted from here. */
  path: string;
}

/** Answers in the order of the questions, a few of which are under way at once. */
async function* ahead<T, R>(items: AsyncIterable<T>, run: (item: T) => Promise<R>): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  for await (const item of items) {
    const answer = run(item);
    // It may fail before its turn, and after an earlier failure nobody asks.
    answer.catch(() => undefined);
    underWay.push(answer);
    const [first] = underWay;
    if (first === undefined || underWay.length < aheadMax) continue;
    yield await first;
    underWay.shift();
  }
  for (const answer of underWay) yield await answer;
}

function rowsGiven(input: JSONValue): number | undefined {
  if (Array.isArray(input)) return input.length;
  if (isStoredData(input)) return input.row_count;
  return isObject(input) && Array.isArray(input.shape) ? Number(input.shape[0]) : undefined;
}

/** @param done rows that an earlier attempt has done */
async function* batchesOf(
  input: JSONValue,
  size: number,
  wanted: Wanted,
  context: AdapterContext,
  done: number,
): AsyncGenerator<Batch> {
  if (isObject(input) && !(isStoredData(input) && input.stored === 'ndjson')) {
    yield* tensorBatches(input as JSONObject, size, wanted, context, done);
    return;
  }
  let waiting: JSONValue[] = [];
  let from = done;
  const path = (): string => (from === 0 ? 'params.input' : `params.input (counted from row ${from})`);
  for await (const rows of rowsOfInput(input, context, done)) {
    waiting = waiting.length === 0 ? rows : [...waiting, ...rows];
    let at = 0;
    for (; at + size <= waiting.length; at += size) {
      yield { input: waiting.slice(at, at + size), rows: size, path: path() };
      from += size;
    }
    waiting = waiting.slice(at);
  }
  if (waiting.length > 0) yield { input: waiting, rows: waiting.length, path: path() };
}

/** All but the first `done`: what pieces of stored rows state of their number is counted, not believed. */
async function* rowsOfInput(input: JSONValue, context: AdapterContext, done: number): AsyncGenerator<JSONValue[]> {
  if (Array.isArray(input)) return yield input.slice(done);
  if (!isStoredData(input))
    throw new StepError('INVALID_PARAMS', 'params.input must be a list of rows, stored rows or a tensor');
  let passed = 0;
  for await (const rows of readLines(input, context)) {
    const known = Math.min(rows.length, done - passed);
    passed += known;
    if (known < rows.length) yield rows.slice(known);
  }
}

async function* tensorBatches(
  input: JSONObject,
  size: number,
  wanted: Wanted,
  context: AdapterContext,
  done: number,
): AsyncGenerator<Batch> {
  const tensor = await readTensor(input, 'params.input', context, wanted);
  const rows = tensor.shape[0] ?? 0;
  for (let from = done; from < rows; from += size) {
    const to = Math.min(rows, from + size);
    yield {
      tensor: rowsOf(tensor, from, to),
      rows: to - from,
      path: `params.input (counted from row ${from})`,
    };
  }
}

function onlyInput({ info: { inputs } }: ReadyModel): string {
  const [only] = inputs;
  if (only === undefined || inputs.length > 1)
    throw new StepError(
      'ML_INPUT_MISMATCH',
      `the model has ${inputs.length} inputs: give params.input as rows that are objects with ${inputs.map(({ name }) => name).join(', ')}`,
    );
  return only.name;
}

/** What the model gave for each row: of one output its value, of several an object by their names. */
async function rowValues(
  outputs: Readonly<Record<string, Tensor>>,
  rows: number,
  options: InferOptions,
  ready: ReadyModel,
): Promise<JSONValue[]> {
  const main = mainOutput(options, ready, outputs);
  const columns: { name: string; values: JSONValue[] }[] = [];
  for (const [name, tensor] of Object.entries(outputs)) {
    if (tensor.shape[0] !== rows)
      throw new StepError(
        'ML_NOT_BATCHED',
        `the output "${name}" has the shape [${tensor.shape.join(', ')}] for ${rows} rows: this model has no row for each row, use ml_infer`,
      );
    const values = name === main ? await processed(tensor, options) : listsOf(tensor);
    columns.push({ name, values: values as JSONValue[] });
  }
  const [only] = columns;
  if (columns.length === 1 && only !== undefined) return only.values;
  return Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(columns.map(({ name, values }) => [name, values[row] ?? null])),
  );
}

async function processed(
  tensor: Tensor,
  { postprocess: { activation, top_k, labels } }: InferOptions,
): Promise<JSONValue> {
  const activated = await activate(tensor, activation);
  return top_k === undefined && labels === undefined ? listsOf(activated) : topK(activated, top_k ?? 1, labels);
}
