import { StepError } from '../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../lib/json.ts';
import { redactJSON } from '../lib/secrets.ts';
import type { AdapterContext } from '../ports/adapter.ts';
import type { StoredChunk, StoredData } from '../protocol/stored-data.ts';

/** Rows that an output holds itself where a step does not say otherwise. */
const rowsInlineMaxDefault = 10_000;
/** What they may take, roughly, in bytes of JSON. */
const inlineBytesMax = 32 * 1024 * 1024;
const chunkBytes = 4 * 1024 * 1024;

type RowContext = Pick<AdapterContext, 'blobs' | 'redact'>;

/** Rows as a step gives them: in line, or stored because there are too many. */
export type Rows<T extends JSONValue = JSONObject> =
  | { rows: T[]; row_count: number }
  | { stored: StoredData; row_count: number };

/** What a sink has taken, for one that goes on. */
export type RowsState = { row_count: number; inline: boolean; chunks: StoredChunk[] };

/** Takes rows one batch after the other, in memory that does not grow with their number: what exceeds the limit goes to the blob store. */
export class RowSink<T extends JSONValue = JSONObject> {
  readonly #context: RowContext;
  readonly #inlineMax: number;
  #inline: T[] | undefined = [];
  #inlineBytes = 0;
  #count = 0;
  /** Rows that are in `#chunks`, also while all are in line. */
  #saved = 0;
  #lines: string[] = [];
  #linesLength = 0;
  readonly #chunks: StoredChunk[] = [];

  constructor(context: RowContext, inlineMax: number = rowsInlineMaxDefault) {
    this.#context = context;
    this.#inlineMax = inlineMax;
  }

  /** A sink that goes on from a state. @throws whatever the blob store does where it lacks the rows */
  static async resume<T extends JSONValue>(
    { row_count, inline, chunks }: RowsState,
    context: RowContext,
    inlineMax?: number,
  ): Promise<RowSink<T>> {
    const sink = new RowSink<T>(context, inlineMax);
    const stored: StoredData = { stored: 'ndjson', bytes: 0, chunks };
    if (inline) for await (const rows of readLines(stored, context)) await sink.add(rows as T[]);
    else sink.#inline = undefined;
    sink.#count = row_count;
    sink.#saved = row_count;
    sink.#chunks.push(...chunks);
    return sink;
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves when there is room for more. */
  async add(rows: readonly T[]): Promise<void> {
    this.#count += rows.length;
    if (this.#inline === undefined) return this.#write(rows);
    for (const row of rows) {
      this.#inline.push(row);
      this.#inlineBytes += roughSize(row);
    }
    if (this.#count <= this.#inlineMax && this.#inlineBytes <= inlineBytesMax) return;
    const kept = this.#inline.slice(this.#saved);
    this.#inline = undefined;
    return this.#write(kept);
  }

  /** Writes all rows to the blob store, and says where they are. */
  async state(): Promise<RowsState> {
    if (this.#inline !== undefined) await this.#write(this.#inline.slice(this.#saved));
    await this.#flush();
    this.#saved = this.#count;
    return { row_count: this.#count, inline: this.#inline !== undefined, chunks: [...this.#chunks] };
  }

  async end(): Promise<Rows<T>> {
    if (this.#inline !== undefined) return { rows: this.#inline, row_count: this.#count };
    await this.#flush();
    const bytes = this.#chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
    const stored: StoredData = { stored: 'ndjson', bytes, row_count: this.#count, chunks: this.#chunks };
    return { stored, row_count: this.#count };
  }

  async #write(rows: readonly T[]): Promise<void> {
    for (const row of rows) {
      const line = this.#lineOf(row);
      this.#lines.push(line);
      this.#linesLength += line.length + 1;
      if (this.#linesLength >= chunkBytes) await this.#flush();
    }
  }

  /** What leaves the step beside its output is searched for secrets here: in texts and keys, as in the output. */
  #lineOf(row: T): string {
    const line = JSON.stringify(row);
    const { redact } = this.#context;
    return redact(line) === line ? line : JSON.stringify(redactJSON(row, redact));
  }

  async #flush(): Promise<void> {
    if (this.#lines.length === 0) return;
    const rows = this.#lines.length;
    const bytes = Buffer.from(`${this.#lines.join('\n')}\n`);
    this.#lines = [];
    this.#linesLength = 0;
    this.#chunks.push({ digest: await this.#context.blobs.put(bytes), bytes: bytes.length, rows });
  }
}

/** Characters of a value's JSON, roughly. */
function roughSize(value: JSONValue): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 8;
  let size = 2;
  if (Array.isArray(value)) for (const element of value) size += roughSize(element) + 1;
  else for (const key of Object.keys(value)) size += key.length + 4 + roughSize(value[key] ?? null);
  return size;
}

export const isStoredData = (value: unknown): value is StoredData =>
  isObject(value) &&
  (value.stored === 'ndjson' || value.stored === 'bytes') &&
  Array.isArray(value.chunks) &&
  value.chunks.every((chunk) => isObject(chunk) && typeof chunk.digest === 'string');

/**
 * Rows out of a param, batch by batch: a list, one object, or what `RowSink` stored.
 * @param name of the param, for errors
 * @throws StepError INVALID_PARAMS where something is no object
 */
export async function* readRows(
  value: JSONValue | undefined,
  name: string,
  context: RowContext,
): AsyncGenerator<JSONObject[]> {
  if (isStoredData(value)) {
    if (value.stored !== 'ndjson') throw new StepError('INVALID_PARAMS', `${name} is stored as bytes, not as rows`);
    let index = 0;
    for await (const values of readLines(value, context)) {
      const rows = checkedRows(values, name, index);
      index += rows.length;
      yield rows;
    }
    return;
  }
  if (Array.isArray(value)) {
    yield checkedRows(value, name, 0);
    return;
  }
  yield checkedRows([value ?? null], name, undefined);
}

/** What `RowSink` stored, chunk by chunk. @throws StepError INVALID_PARAMS where it is no JSON */
export async function* readLines(
  { chunks }: StoredData,
  { blobs }: Pick<AdapterContext, 'blobs'>,
): AsyncGenerator<JSONValue[]> {
  for (const { digest } of chunks) {
    const text = Buffer.from(await blobs.get(digest)).toString();
    yield text
      .split('\n')
      .filter((line) => line !== '')
      .map(parseLine);
  }
}

function parseLine(line: string): JSONValue {
  try {
    return JSON.parse(line) as JSONValue;
  } catch (cause) {
    throw new StepError('INVALID_PARAMS', 'the stored rows are not newline-delimited JSON', { cause });
  }
}

function checkedRows(values: readonly JSONValue[], name: string, from: number | undefined): JSONObject[] {
  for (const [index, value] of values.entries())
    if (!isObject(value))
      throw new StepError(
        'INVALID_PARAMS',
        `${name}${from === undefined ? '' : `[${from + index}]`} must be an object, with a value for each column`,
      );
  return values as JSONObject[];
}
