import { TextDecoder } from 'node:util';
import { RowSink } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { parseJSON } from '../http/read.ts';

type StoreContext = Pick<AdapterContext, 'blobs' | 'redact'>;

const rowsBatch = 1000;

/** Writes newline-delimited JSON objects to the blob store. @throws StepError RESPONSE_INVALID that names the line */
export async function storeRows(source: AsyncIterable<Uint8Array>, context: StoreContext): Promise<JSONValue> {
  const sink = new RowSink(context, 0);
  let batch: JSONObject[] = [];
  for await (const row of rowsOf(source)) {
    batch.push(row);
    if (batch.length < rowsBatch) continue;
    await sink.add(batch);
    batch = [];
  }
  await sink.add(batch);
  const rows = await sink.end();
  return 'stored' in rows ? (rows.stored as unknown as JSONValue) : rows.rows;
}

/** A line that is longer is no row, but would have to be held in memory. */
const lineLengthMax = 16 * 1024 * 1024;

export async function* rowsOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<JSONObject> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let length = 0;
  let line = 0;
  const take = (text: string): JSONObject | undefined => {
    line += 1;
    const whole = parts.length === 0 ? text : parts.join('') + text;
    parts = [];
    length = 0;
    return whole.trim() === '' ? undefined : parseRow(whole, line);
  };
  for await (const piece of source) {
    const lines = decoder.decode(piece, { stream: true }).split('\n');
    const last = lines.pop() ?? '';
    for (const text of lines) {
      const row = take(text);
      if (row !== undefined) yield row;
    }
    parts.push(last);
    length += last.length;
    if (length > lineLengthMax)
      throw new StepError(
        'RESPONSE_INVALID',
        `line ${line + 1} of the response is longer than ${lineLengthMax} characters`,
      );
  }
  const row = take(decoder.decode());
  if (row !== undefined) yield row;
}

function parseRow(text: string, line: number): JSONObject {
  let row: JSONValue | undefined;
  try {
    row = parseJSON(text);
  } catch {
    // Said below, with the line.
  }
  if (isObject(row)) return row as JSONObject;
  throw new StepError('RESPONSE_INVALID', `line ${line} of the response is not a JSON object`);
}
