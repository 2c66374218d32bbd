import { StepError } from '../../lib/errors.ts';
import type { AdapterContext } from '../../ports/adapter.ts';
import type { StoredData } from '../../protocol/stored-data.ts';

/** Bytes that another step stored, as one. @throws StepError INVALID_PARAMS where they are rows, or too many */
export async function storedBytes(
  data: StoredData,
  { blobs }: Pick<AdapterContext, 'blobs'>,
  bytesMax: number,
): Promise<Uint8Array> {
  const stated = data.chunks.reduce((sum, { bytes }) => sum + bytes, 0);
  if (stated > bytesMax)
    throw new StepError(
      'INVALID_PARAMS',
      `the stored data has ${stated} bytes; at most ${bytesMax} can be used at once`,
    );
  const parts: Uint8Array[] = [];
  for (const { digest } of data.chunks) parts.push(await blobs.get(digest));
  return parts.length === 1 ? (parts[0] ?? new Uint8Array()) : Buffer.concat(parts);
}

const chunkBytes = 4 * 1024 * 1024;

/** Stores bytes in chunks. */
export async function storeBytes(bytes: Uint8Array, { blobs }: Pick<AdapterContext, 'blobs'>): Promise<StoredData> {
  const chunks: StoredData['chunks'] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const part = bytes.subarray(at, at + chunkBytes);
    chunks.push({ digest: await blobs.put(part), bytes: part.length });
  }
  return { stored: 'bytes', bytes: bytes.length, chunks };
}
