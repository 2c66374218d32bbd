import type { JSONValue } from '../lib/json.ts';
import { parseStrictJSON } from '../lib/strict-json.ts';
import { limits } from '../protocol/limits.ts';
import { HttpProblem } from './problem.ts';

export const workflowMediaType = 'application/vnd.jsonflow.workflow+json';

const mediaTypeOf = (request: Request): string =>
  (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

const tooLarge = (): HttpProblem =>
  new HttpProblem('LIMIT_EXCEEDED', `the body is larger than ${limits.httpBodyBytesMax} bytes`, {
    hint: 'Keep large data out of the workflow: pass it by reference.',
    headers: { connection: 'close' },
  });

async function readBytes(request: Request): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > limits.httpBodyBytesMax) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (request.body !== null)
    for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > limits.httpBodyBytesMax) throw tooLarge();
      chunks.push(chunk);
    }
  return Buffer.concat(chunks);
}

/** A body as it came: parsed, or the bare source of a workflow. `none` where there is no body at all. */
export type Body = { kind: 'none' } | { kind: 'json'; value: JSONValue } | { kind: 'workflow'; source: string };

/**
 * Reads a body of one of the two JSON types. Another type is refused also because a web form can't send these: a page of
 * another origin can't post here without the browser asking first.
 * @throws HttpProblem LIMIT_EXCEEDED, UNSUPPORTED_MEDIA_TYPE; JSONFlowError INVALID_JSON, NOT_I_JSON
 */
export async function readBody(request: Request): Promise<Body> {
  const type = mediaTypeOf(request);
  const isWorkflow = type === workflowMediaType;
  if (type !== '' && type !== 'application/json' && !isWorkflow)
    throw new HttpProblem('UNSUPPORTED_MEDIA_TYPE', `the content type ${JSON.stringify(type)} is not supported`, {
      hint: `Send "Content-Type: application/json" (or ${workflowMediaType} for a bare workflow).`,
    });
  const bytes = await readBytes(request);
  if (bytes.byteLength === 0) return { kind: 'none' };
  if (type === '')
    throw new HttpProblem('UNSUPPORTED_MEDIA_TYPE', 'the body has no content type', {
      hint: 'Send "Content-Type: application/json".',
    });
  if (!isWorkflow) return { kind: 'json', value: parseStrictJSON(bytes) };
  try {
    return { kind: 'workflow', source: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    throw new HttpProblem('INVALID_JSON', 'the body is not valid UTF-8', { hint: 'Encode the workflow as UTF-8.' });
  }
}
