// What the model server takes of requests: each within bounds, and all together.
import type { IncomingMessage } from 'node:http';
import { Refusal } from './reply.ts';

/** Requests for a model at once, and what their bodies may take: one, and all together. */
const requestsMax = 256;
const bodyBytesMax = 64 * 1024 * 1024;
const bodiesBytesMax = 512 * 1024 * 1024;
/** What is still taken of a request that is refused. */
const drainBytesMax = 16 * 1024 * 1024;
const drainMs = 1_000;

/** What all requests together take. */
export interface Load {
  requests: number;
  bytes: number;
}

/** @param work calls `grow` before it keeps so many more bytes @throws Refusal 503 where all requests together would be too many or take too much */
export async function withinLoad<T>(load: Load, work: (grow: (bytes: number) => void) => Promise<T>): Promise<T> {
  const tooMuch = (): Refusal =>
    new Refusal(503, 'too many requests are under way; try again later', { 'retry-after': '1' });
  if (load.requests >= requestsMax) throw tooMuch();
  let mine = 0;
  load.requests += 1;
  try {
    return await work((bytes) => {
      if (load.bytes + bytes > bodiesBytesMax) throw tooMuch();
      mine += bytes;
      load.bytes += bytes;
    });
  } finally {
    load.requests -= 1;
    load.bytes -= mine;
  }
}

/** The whole body. @param grow as of `withinLoad` @throws Refusal 413, 415, 503 */
export async function bodyOf(request: IncomingMessage, grow: (bytes: number) => void): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw new Refusal(415, 'the body must not be compressed', { 'accept-encoding': 'identity' });
  const tooLarge = (): Refusal => new Refusal(413, `a request has at most ${bodyBytesMax} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) throw tooLarge();
  const parts: Buffer[] = [];
  let size = 0;
  // Left early, the connection stays open for the refusal.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > bodyBytesMax) throw tooLarge();
    grow(part.length);
    parts.push(part);
  }
  return Buffer.concat(parts, size);
}

/** Takes what little is left of a refused request: whoever still sends when the connection ends may never see the answer. */
export function drain(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    let size = 0;
    const done = (): void => {
      clearTimeout(timer);
      request.off('data', take).off('end', done).off('close', done).pause();
      resolve();
    };
    const take = (part: Buffer): void => {
      size += part.length;
      if (size > drainBytesMax) done();
    };
    const timer = setTimeout(done, drainMs);
    request.on('data', take).once('end', done).once('close', done);
  });
}
