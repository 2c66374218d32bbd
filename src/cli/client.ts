import http from 'node:http';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { CoordinatorApi, DeploymentStatus, StreamEvent, SubmitRequest } from '../compose/offline.ts';
import { JSONFlowError } from '../lib/errors.ts';
import { isObject } from '../lib/json.ts';
import { hostOf, isLoopback, speaksNoTls } from '../lib/net.ts';
import type { Bundle, TrustFile } from '../protocol/receipt.ts';
import type { DistributedResult, NetworkStatus, RunSummary } from '../protocol/result.ts';
import { RemoteProblem, UsageError } from './exit.ts';
import { ServerSentEvents } from './sse.ts';

export interface ClientOptions {
  /** `http://`, `https://`, `ws://`, `wss://` or bare `host:port`. */
  url: string;
  token?: string;
  /** Send the token without TLS to other machines too. Default false. */
  insecure?: boolean;
  tls?: { ca?: string; cert?: string; key?: string };
}

/** The part of a coordinator's API that works the same embedded and over HTTP. */
export type RunApi = Pick<CoordinatorApi, 'submit' | 'cancel' | 'result' | 'runs' | 'events' | 'bundle' | 'trust'>;

export interface Client extends RunApi {
  readonly url: string;
  network(): Promise<NetworkStatus>;
  createJoinToken(ttlMs?: number): Promise<{ token: string; expires_at: string }>;
  deploy(workflow: unknown): Promise<DeploymentStatus>;
  undeploy(name: string, tenantId?: string): Promise<void>;
  deployments(): Promise<DeploymentStatus[]>;
}

/** The longest answer that is read into memory. */
const ANSWER_BYTES_MAX = 1024 * 1024 * 1024;
/** An answer's head must come within this time. */
const ANSWER_TIMEOUT_MS = 60_000;
/** A stream that is silent for longer than three heartbeats is dead. */
const STREAM_SILENCE_MS = 45_000;
const RECONNECTS_MAX = 10;

/** The base URL of the API. @throws UsageError */
export function apiUrl(text: string): URL {
  const withScheme = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme.replace(/^ws(s?):/i, 'http$1:')) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '')
    throw new UsageError(`${JSON.stringify(text)} is no address of a coordinator`, 'Write it as http://host:8080.');
  if (url.username !== '' || url.password !== '')
    throw new UsageError('the address must not carry a password', 'Use --token, or JSONFLOW_TOKEN.');
  return new URL('/', url);
}

const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name could not be looked up',
  ETIMEDOUT: 'it did not answer in time',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'there is no way to that host',
};

const unreachable = (url: URL, error: unknown): JSONFlowError => {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const noTls = code === 'EPROTO' || speaksNoTls(code);
  return new JSONFlowError(
    'NODE_UNREACHABLE',
    `${url.origin} can't be reached: ${noTls ? 'it does not speak TLS' : (CONNECTION_ERRORS[code] ?? message)}`,
    {
      hint: 'Start a coordinator with "jsonflow node" or "jsonflow dev", or name another with --connect URL.',
      retriable: code !== 'ENOTFOUND' && !noTls,
      cause: error,
    },
  );
};

/** A coordinator over HTTP. @throws UsageError where the address is none, or the token would cross a network in plain text */
export function createClient(options: ClientOptions): Client {
  const base = apiUrl(options.url);
  const secure = base.protocol === 'https:';
  if (options.token !== undefined && !secure && options.insecure !== true && !isLoopback(hostOf(base)))
    throw new UsageError(
      `the token would go to ${base.origin} in plain text`,
      'Use an https:// address, or allow it with --insecure on a network that you trust.',
    );
  // An address that never answered is a mistake to be told at once; one that did will answer again.
  let reached = false;

  const open = (
    path: string,
    init: { method?: string; headers?: Record<string, string>; body?: string; signal?: AbortSignal },
  ): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = {
        accept: 'application/json',
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...init.headers,
      };
      const { signal } = init;
      const request = (secure ? https : http).request(new URL(path, base), {
        method: init.method ?? 'GET',
        headers,
        timeout: ANSWER_TIMEOUT_MS,
        ...(signal === undefined ? {} : { signal }),
        ...(secure ? { ...options.tls, minVersion: 'TLSv1.3' as const } : {}),
      });
      request.on('response', resolve);
      request.on('timeout', () => request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
      request.on('error', (error) => reject(signal?.aborted === true ? signal.reason : unreachable(base, error)));
      request.end(init.body);
    });

  const once = async <Answer>(path: string, init: Parameters<typeof open>[1]): Promise<Answer> =>
    read<Answer>(base, await open(path, init));

  /** Questions are asked again while a coordinator restarts: they change nothing. */
  const call = async <Answer>(path: string, init: Parameters<typeof open>[1] = {}): Promise<Answer> => {
    if (init.method !== undefined || !reached) {
      const answer = await once<Answer>(path, init);
      reached = true;
      return answer;
    }
    for (let tries = 1; ; tries++) {
      try {
        return await once<Answer>(path, init);
      } catch (error) {
        const again = error instanceof JSONFlowError && error.code === 'NODE_UNREACHABLE' && error.retriable;
        if (!again || tries >= RECONNECTS_MAX) throw error;
        await delay(Math.min(2_000, 100 * 2 ** tries));
      }
    }
  };
  const run = (runId: string): string => `/api/v1/runs/${encodeURIComponent(runId)}`;

  return {
    url: base.origin,
    submit: ({ workflow, input, idempotencyKey }: SubmitRequest) =>
      call('/api/v1/runs', {
        method: 'POST',
        body: JSON.stringify({ workflow, ...(input === undefined ? {} : { input }) }),
        ...(idempotencyKey === undefined ? {} : { headers: { 'idempotency-key': idempotencyKey } }),
      }),
    cancel: async (runId, why) => {
      const body = JSON.stringify(why === undefined ? {} : { why });
      return (await call<{ cancelled: boolean }>(`${run(runId)}/cancel`, { method: 'POST', body })).cancelled;
    },
    result: (runId) => call<DistributedResult>(run(runId)),
    bundle: (runId) => call<Bundle>(`${run(runId)}/bundle`),
    runs: (query) => {
      const search = new URLSearchParams();
      for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
      return call<{ runs: RunSummary[]; cursor?: string }>(`/api/v1/runs?${search}`);
    },
    network: () => call<NetworkStatus>('/api/v1/nodes'),
    deploy: (workflow) =>
      call<DeploymentStatus>('/api/v1/deployments', { method: 'POST', body: JSON.stringify({ workflow }) }),
    undeploy: async (name, tenantId) => {
      const body = JSON.stringify({ workflow: name, ...(tenantId === undefined ? {} : { tenant_id: tenantId }) });
      await call('/api/v1/deployments/remove', { method: 'POST', body });
    },
    deployments: async () => (await call<{ deployments: DeploymentStatus[] }>('/api/v1/deployments')).deployments,
    createJoinToken: (ttlMs) =>
      call<{ token: string; expires_at: string }>('/api/v1/join-tokens', {
        method: 'POST',
        body: JSON.stringify(ttlMs === undefined ? {} : { ttl_ms: ttlMs }),
      }),
    trust: () => call<TrustFile>('/api/v1/keys'),
    events: (runId, { fromSeq = 0, signal } = {}) =>
      followEvents(fromSeq, signal, async (lastEventId) => {
        const headers = { accept: 'text/event-stream', 'last-event-id': String(lastEventId) };
        const response = await open(`${run(runId)}/events`, { headers, ...(signal === undefined ? {} : { signal }) });
        if (response.statusCode === 204) return undefined;
        if (response.statusCode !== 200) await read(base, response);
        return response;
      }),
  };
}

/** An answer's JSON. @throws RemoteProblem, JSONFlowError NODE_UNREACHABLE */
async function read<Answer>(base: URL, response: http.IncomingMessage): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let value: unknown;
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > ANSWER_BYTES_MAX) throw new RangeError('the answer is longer than 1 GiB');
      chunks.push(chunk);
    }
    value = JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw unreachable(base, error);
  }
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300 && value !== undefined) return value as Answer;
  if (isObject(value) && typeof value.code === 'string' && typeof value.detail === 'string')
    throw new RemoteProblem(value as unknown as ConstructorParameters<typeof RemoteProblem>[0]);
  throw new JSONFlowError('NODE_UNREACHABLE', `${base.origin} answered ${status}, but not as a JSONFlow coordinator`, {
    hint: 'Check the address and the port.',
  });
}

/** Events that survive a broken connection: after a pause the stream goes on where it was, without a gap in the journal. */
async function* followEvents(
  fromSeq: number,
  signal: AbortSignal | undefined,
  connect: (lastEventId: number) => Promise<http.IncomingMessage | undefined>,
): AsyncGenerator<StreamEvent> {
  let next = fromSeq;
  let failures = 0;
  for (;;) {
    try {
      const response = await connect(next);
      if (response === undefined) return;
      response.setTimeout(STREAM_SILENCE_MS, () => response.destroy(new Error('the stream is silent')));
      for await (const item of eventsOf(response)) {
        failures = 0;
        if (item.seq !== null) next = item.seq + 1;
        yield item;
        if (item.event.kind === 'run.completed') return;
      }
      failures += 1;
    } catch (error) {
      if (signal?.aborted === true) return;
      if (error instanceof RemoteProblem && error.status !== 503) throw error;
      failures += 1;
      if (failures > RECONNECTS_MAX || (next === fromSeq && failures > 1)) throw error;
    }
    if (failures > RECONNECTS_MAX)
      throw new JSONFlowError('NODE_UNREACHABLE', 'the event stream breaks again and again', {
        hint: 'Ask for the state with "jsonflow show".',
      });
    await delay(Math.min(5000, 100 * 2 ** failures), undefined, signal === undefined ? {} : { signal }).catch(() => {});
    if (signal?.aborted === true) return;
  }
}

async function* eventsOf(response: http.IncomingMessage): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  const parser = new ServerSentEvents();
  for await (const chunk of response as AsyncIterable<Uint8Array>)
    for (const data of parser.push(decoder.decode(chunk, { stream: true }))) yield JSON.parse(data) as StreamEvent;
}
