/**
 * Sends batches one after the other, and lets the next one be prepared while a server works on the one before.
 * @returns the sum of what `send` gives @throws what `batches` or `send` throws, once nothing is under way any more
 */
export async function sendAhead<B>(batches: AsyncIterable<B>, send: (batch: B) => Promise<number>): Promise<number> {
  let sum = 0;
  let pending: Promise<number> | undefined;
  try {
    for await (const batch of batches) {
      sum += (await pending) ?? 0;
      pending = send(batch);
      pending.catch(() => undefined);
      // What is sent must leave before the next batch takes the processor.
      await new Promise(setImmediate);
    }
    return sum + ((await pending) ?? 0);
  } finally {
    await pending?.catch(() => undefined);
  }
}
