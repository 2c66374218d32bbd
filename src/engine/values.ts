import { JSONFlowError } from '../lib/errors.ts';
import type { JSONValue } from '../lib/json.ts';
import type { Store } from '../ports/store.ts';
import type { Stored } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';

const cacheBytesMax = 128 * 1024 * 1024;

/** Values that are in line or in the blob store, with a cache of the latter bounded by bytes. */
export class Values {
  readonly #store: Store;
  /** In the order of use, the oldest first. */
  readonly #cache = new Map<string, { value: JSONValue; bytes: number }>();
  #cachedBytes = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The value, where it is at hand without waiting. */
  peek(stored: Stored): { value: JSONValue } | undefined {
    if ('value' in stored) return stored;
    const cached = this.#cache.get(stored.digest);
    if (cached === undefined) return undefined;
    this.#cache.delete(stored.digest);
    this.#cache.set(stored.digest, cached);
    return cached;
  }

  async load(stored: Stored): Promise<JSONValue> {
    const at_hand = this.peek(stored);
    if (at_hand !== undefined) return at_hand.value;
    if ('value' in stored) return stored.value;
    const bytes = await this.#store.getBlob(stored.digest);
    if (bytes === undefined)
      throw new JSONFlowError('STORE_CORRUPT', `blob ${stored.digest} is missing from the store`, {
        hint: 'Restore the data directory from a backup.',
      });
    const value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as JSONValue;
    this.#remember(stored.digest, value, bytes.length);
    return value;
  }

  /** Keeps a canonical text: in line where it is small, else durably in the blob store. */
  keep(text: string, value: JSONValue, digest: string): Stored | Promise<Stored> {
    if (text.length * 3 <= limits.inlineBytesMax) return { value };
    const bytes = Buffer.from(text);
    if (bytes.length <= limits.inlineBytesMax) return { value };
    if (bytes.length > limits.blobBytesMax)
      throw new JSONFlowError(
        'LIMIT_EXCEEDED',
        `a value of ${bytes.length} bytes is above the limit of ${limits.blobBytesMax}`,
      );
    return this.#store.putBlob(digest, bytes).then(() => {
      this.#remember(digest, value, bytes.length);
      return { digest, bytes: bytes.length };
    });
  }

  #remember(digest: string, value: JSONValue, bytes: number): void {
    if (bytes > cacheBytesMax / 4 || this.#cache.has(digest)) return;
    this.#cache.set(digest, { value, bytes });
    this.#cachedBytes += bytes;
    for (const [oldest, entry] of this.#cache) {
      if (this.#cachedBytes <= cacheBytesMax) break;
      this.#cache.delete(oldest);
      this.#cachedBytes -= entry.bytes;
    }
  }
}
