// What the command line needs of the WebAssembly adapter.
import { readFile, stat } from 'node:fs/promises';
import { inspectModule, measureModule, type Verdict } from '../adapters/wasm/validator.ts';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { limits } from '../protocol/limits.ts';

export { measureModule as measure, type Verdict };

/** @throws JSONFlowError NOT_FOUND, LIMIT_EXCEEDED */
export async function inspectFile(file: string): Promise<{ bytes: Uint8Array; verdict: Verdict }> {
  let bytes: Uint8Array;
  try {
    const { size } = await stat(file);
    if (size > limits.blobBytesMax)
      throw new JSONFlowError(
        'LIMIT_EXCEEDED',
        `${file} has ${size} bytes; at most ${limits.blobBytesMax} are allowed`,
      );
    bytes = await readFile(file);
  } catch (thrown) {
    if (thrown instanceof JSONFlowError) throw thrown;
    throw new JSONFlowError('NOT_FOUND', `${file} can't be read: ${messageOf(thrown)}`, { hint: 'Name a .wasm file.' });
  }
  return { bytes, verdict: await inspectModule(bytes) };
}
