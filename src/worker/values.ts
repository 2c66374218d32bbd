import { StepError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { JSONValue } from '../lib/json.ts';
import type { Stored } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';

/** Keeps a value in line, or puts its canonical text where the digest is enough. */
export async function storeText(
  text: string,
  value: JSONValue,
  blobs: { putBlob(digest: string, bytes: Uint8Array): Promise<void> },
): Promise<{ output: Stored; digest: string }> {
  const digest = sha256(text);
  // A UTF-16 unit is at most 3 bytes of UTF-8, so most texts need no count.
  if (text.length * 3 <= limits.inlineBytesMax) return { output: { value }, digest };
  const bytes = Buffer.from(text);
  if (bytes.length <= limits.inlineBytesMax) return { output: { value }, digest };
  if (bytes.length > limits.blobBytesMax)
    throw new StepError(
      'INVALID_OUTPUT',
      `a value of ${bytes.length} bytes is too large; at most ${limits.blobBytesMax} are allowed`,
    );
  await blobs.putBlob(digest, bytes);
  return { output: { digest, bytes: bytes.length }, digest };
}

export const parseBlob = (bytes: Uint8Array): JSONValue =>
  JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as JSONValue;
