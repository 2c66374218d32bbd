import { StepError } from '../lib/errors.ts';
import { hostOf } from '../lib/net.ts';
import type { Egress, Reach } from '../ports/egress.ts';
import { shownUrl } from './url.ts';

export interface FetchOptions {
  egress: Egress;
  reach: Reach;
  signal: AbortSignal;
  bytesMax: number;
  /** Name of the param that holds the URL, for errors. */
  name: string;
}

const redirectsMax = 5;
const redirects = [301, 302, 303, 307, 308];

/**
 * Gets a file over HTTP. Each address, also of a redirect, passes the egress rules, and only the checked one is connected to.
 *
 * @throws StepError INVALID_PARAMS, EGRESS_DENIED, FETCH_TOO_LARGE, FETCH_FAILED (retryable where another try may help), the signal's reason
 */
export async function fetchBytes(text: string, options: FetchOptions): Promise<Uint8Array> {
  // An @ in the path is no mistake here: registries of packages have versions behind it.
  let url = URL.parse(text);
  if (url === null) throw new StepError('INVALID_PARAMS', `${options.name} is not a URL`);
  for (let hop = 0; hop <= redirectsMax; hop += 1) {
    const answer = await fetchOnce(url, options);
    if (answer instanceof Uint8Array) return answer;
    url = answer;
  }
  throw failed(url, `more than ${redirectsMax} redirects`, false);
}

/** The body, or where to look instead. */
async function fetchOnce(url: URL, { egress, reach, signal, bytesMax, name }: FetchOptions): Promise<Uint8Array | URL> {
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new StepError('INVALID_PARAMS', `${name} must be an http or https URL, not ${url.protocol}//`);
  if (url.username !== '' || url.password !== '')
    throw new StepError('INVALID_PARAMS', `${name} must not hold a user name or password`);
  const scheme = url.protocol.slice(0, -1);
  const port = Number(url.port) || (scheme === 'https' ? 443 : 80);
  await egress.addresses({ scheme, host: hostOf(url), port }, reach);
  const { Agent, request } = await import('undici');
  const agent = new Agent({
    connect: { lookup: egress.lookup({ scheme, port }, reach), timeout: 10_000 },
    headersTimeout: 30_000,
    bodyTimeout: 30_000,
  });
  try {
    const { statusCode, headers, body } = await request(url.href, { dispatcher: agent, signal });
    if (redirects.includes(statusCode) && typeof headers.location === 'string') {
      const next = URL.parse(headers.location, url.href);
      if (next === null) throw failed(url, 'a redirect to something that is no URL', false);
      return next;
    }
    if (statusCode !== 200) throw failed(url, `status ${statusCode}`, statusCode >= 500 || statusCode === 429);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > bytesMax)
        throw new StepError('FETCH_TOO_LARGE', `${shownUrl(url)} has more than the ${bytesMax} bytes that are allowed`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw thrown instanceof StepError ? thrown : failed(url, reasonOf(thrown), true);
  } finally {
    // Whatever is still on its way is of no use.
    void agent.destroy().catch(() => undefined);
  }
}

function reasonOf(thrown: unknown): string {
  const { code } = thrown as { code?: unknown };
  return typeof code === 'string' ? code : 'the connection failed';
}

const failed = (url: URL, why: string, retryable: boolean): StepError =>
  new StepError('FETCH_FAILED', `${shownUrl(url)} can't be fetched: ${why}`, { retryable });
