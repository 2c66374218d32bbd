import { canonicalize } from '../../lib/canonical.ts';
import type { JSONValue } from '../../lib/json.ts';
import { redactJSON } from '../../lib/secrets.ts';
import type { AdapterContext } from '../../ports/adapter.ts';
import type { StoredChunk, StoredData } from '../../protocol/stored-data.ts';
import { decode } from './abi/decode.ts';
import type { OutputForm } from './abi/outcome.ts';
import { storeBytes } from './stored-bytes.ts';

type Context = Pick<AdapterContext, 'blobs' | 'redact'>;

/** What an output holds itself; more goes to the blob store. */
const inlineBytesMax = 1024 * 1024;
const chunkBytes = 4 * 1024 * 1024;

/** A result as JSON: bytes as `{ "base64": … }`, many of them stored. */
export async function jsonOf(result: JSONValue | Uint8Array, context: Context): Promise<JSONValue> {
  if (!(result instanceof Uint8Array)) return result;
  if (result.length > inlineBytesMax) return (await storeBytes(result, context)) as unknown as JSONValue;
  return { base64: Buffer.from(result.buffer, result.byteOffset, result.length).toString('base64') };
}

/** Results of a stream: a list while it is short, then stored rows; bytes alone become one piece of bytes. Memory stays bounded. */
export class Results {
  readonly #context: Context;
  /** Whether they are pieces of one, as chunks of bytes give. */
  readonly #joined: boolean;
  readonly #form: OutputForm;
  #list: JSONValue[] | undefined = [];
  #parts: Uint8Array[] = [];
  #size = 0;
  #total = 0;
  readonly #chunks: StoredChunk[] = [];
  count = 0;

  /** @param joined whether the results are pieces of one @param form in which that is read */
  constructor(context: Context, joined: boolean, form: OutputForm) {
    this.#context = context;
    this.#joined = joined;
    this.#form = form;
  }

  async add(result: JSONValue | Uint8Array): Promise<void> {
    this.count += 1;
    if (this.#joined) return this.#append(asBytes(result));
    const value = result instanceof Uint8Array ? await jsonOf(result, this.#context) : result;
    if (this.#list !== undefined) {
      this.#list.push(value);
      this.#total += canonicalize(value).length;
      if (this.#total <= inlineBytesMax) return;
      const kept = this.#list;
      this.#list = undefined;
      this.#total = 0;
      for (const each of kept) await this.#append(this.#line(each));
      return;
    }
    await this.#append(this.#line(value));
  }

  async end(): Promise<JSONValue> {
    if (!this.#joined && this.#list !== undefined) return this.#list;
    if (this.#joined && this.#chunks.length === 0 && this.#size <= inlineBytesMax)
      return this.#whole(Buffer.concat(this.#parts));
    await this.#flush();
    const data: StoredData = {
      stored: this.#joined ? 'bytes' : 'ndjson',
      bytes: this.#total,
      ...(this.#joined ? {} : { row_count: this.count }),
      chunks: this.#chunks,
    };
    return data as unknown as JSONValue;
  }

  /** Read as the step wants, as the result of one call would be. */
  #whole(bytes: Uint8Array): Promise<JSONValue> {
    const copy = new Uint8Array(bytes);
    return jsonOf(decode({ kind: 'bytes', bytes: copy }, this.#form), this.#context);
  }

  #line(value: JSONValue): Uint8Array {
    return Buffer.from(`${JSON.stringify(redactJSON(value, this.#context.redact))}\n`);
  }

  async #append(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    this.#total += bytes.length;
    if (this.#size >= chunkBytes) await this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#size === 0) return;
    const bytes = Buffer.concat(this.#parts, this.#size);
    this.#parts = [];
    this.#size = 0;
    this.#chunks.push({ digest: await this.#context.blobs.put(bytes), bytes: bytes.length });
  }
}

const asBytes = (result: JSONValue | Uint8Array): Uint8Array =>
  result instanceof Uint8Array
    ? result
    : Buffer.from(typeof result === 'string' ? result : result === null ? '' : `${JSON.stringify(result)}\n`);
