import { pipeline, Readable, type Transform } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';
import { StepError } from '../../../lib/errors.ts';
import { isObject } from '../../../lib/json.ts';

const codingsMax = 3;
/** What RFC 8878 asks decoders to have, and a stranger's data may make us take: 8 MiB. */
const zstdWindowLogMax = 23;

/**
 * A body without its compression, and not larger than allowed.
 * @throws StepError RESPONSE_TOO_LARGE, RESPONSE_INVALID; what the source throws
 */
export function decoded(
  source: AsyncIterable<Uint8Array>,
  contentEncoding: string | string[] | undefined,
  bytesMax: number,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const codings = contentEncoding === undefined ? [] : codingsOf(contentEncoding);
      return limited(decompressed(source, codings)[Symbol.asyncIterator](), bytesMax);
    },
  };
}

function limited(pieces: AsyncIterator<Uint8Array>, bytesMax: number): AsyncIterator<Uint8Array> {
  let bytes = 0;
  const end = async (): Promise<IteratorResult<Uint8Array>> => {
    await pieces.return?.();
    return { done: true, value: undefined };
  };
  return {
    async next() {
      const next = await pieces.next();
      if (next.done === true) return next;
      bytes += next.value.length;
      if (bytes <= bytesMax) return next;
      await end();
      throw new StepError(
        'RESPONSE_TOO_LARGE',
        `the response, decompressed, is larger than options.max_bytes (${bytesMax})`,
      );
    },
    return: end,
  };
}

/** In the order in which they are to be undone. */
function codingsOf(header: string | string[]): string[] {
  const codings = String(header)
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
  if (codings.length > codingsMax) throw invalid(`the response is compressed ${codings.length} times over`);
  return codings.reverse();
}

function decompressed(source: AsyncIterable<Uint8Array>, codings: readonly string[]): AsyncIterable<Uint8Array> {
  return codings.reduce((body, coding) => undone(body, coding), source);
}

async function* undone(source: AsyncIterable<Uint8Array>, coding: string): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  const first = await pieces.next();
  // An answer to HEAD, or with 304, names the compression of what it does not hold.
  if (first.done === true) return;
  const whole = (async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => pieces };
  })();
  const transform = transformOf(coding, first.value);
  pipeline(Readable.from(whole), transform, () => undefined);
  try {
    for await (const piece of transform) yield piece as Buffer;
  } catch (thrown) {
    if (isZlibError(thrown)) throw invalid(`the response is not sound ${coding}`, thrown);
    throw thrown;
  } finally {
    await pieces.return?.();
  }
}

function transformOf(coding: string, first: Uint8Array): Transform {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      // Some servers leave the zlib header out, whose first byte is always 8 in its low half.
      return ((first[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw();
    case 'br':
      return createBrotliDecompress();
    case 'zstd':
      return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax } });
    default:
      throw invalid('the response is compressed in a way that was not asked for');
  }
}

const isZlibError = (thrown: unknown): boolean =>
  isObject(thrown) &&
  typeof thrown.code === 'string' &&
  /^(Z_|ERR_(ZLIB|BROTLI|_?PADDING|ZSTD|_ERROR)|ZSTD_)/.test(thrown.code);

const invalid = (message: string, cause?: unknown): StepError => new StepError('RESPONSE_INVALID', message, { cause });
