import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Circuit } from '../../../../src/adapters/quantum/circuit/circuit.ts';
import { simulate } from '../../../../src/adapters/quantum/simulate/simulate.ts';
import type { JSONValue } from '../../../../src/lib/json.ts';
import { requestOf } from '../../../support/quantum-request.ts';
import { serve, type TestServer } from '../../network/support.ts';

export type State = 'queued' | 'running' | 'completed' | 'failed' | 'cancelled';

export interface ServedJob {
  id: string;
  name: string;
  state: State;
  shots: number;
  device: string;
  circuit: Circuit;
  /** Questions after it until it begins, and until it ends. */
  ahead: number;
  left: number;
}

/** What goes wrong with a request once, instead of or after it was served. */
export interface Trouble {
  /** Of method and path, such as `POST /jobs`. */
  on: RegExp;
  /** Served, but the connection breaks before the answer; or broken at once; or no answer ever. */
  how: 'lose answer' | 'break' | 'hang' | { status: number; body?: JSONValue; headers?: Record<string, string> };
}

export interface ContractServer extends AsyncDisposable {
  url: string;
  jobs: ServedJob[];
  /** Methods and paths in order. */
  calls: string[];
  /** What did not hold to the documentation. Each test checks that there is nothing. */
  breaches: string[];
  troubles: Trouble[];
  /** How the next jobs go. */
  plan: { ahead: number; left: number; ends: 'completed' | 'failed' };
}

export interface Answer {
  status: number;
  body?: JSONValue;
}

/** A request that a server does not take, and why. */
export class Breach extends Error {
  readonly answer: Answer;
  constructor(why: string, answer: Answer) {
    super(why);
    this.answer = answer;
  }
}

export interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}

/** A server with real sockets; `answer` knows one provider's documentation. */
export async function contractServer(
  base: string,
  answer: (request: Request, server: ContractServer) => Answer,
): Promise<ContractServer> {
  const state: Omit<ContractServer, 'url' | typeof Symbol.asyncDispose> = {
    jobs: [],
    calls: [],
    breaches: [],
    troubles: [],
    plan: { ahead: 1, left: 1, ends: 'completed' },
  };
  const listener = await serve((incoming, response, body) => {
    const url = new URL(incoming.url ?? '', 'http://localhost');
    const request: Request = {
      method: incoming.method ?? '',
      path: url.pathname.startsWith(base) ? url.pathname.slice(base.length) : url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: body.toString('utf8'),
    };
    const call = `${request.method} ${request.path}`;
    server.calls.push(call);
    const at = server.troubles.findIndex(({ on }) => on.test(call));
    const [trouble] = at < 0 ? [] : server.troubles.splice(at, 1);
    respond(trouble?.how, response, () => answered(() => answer(request, server), server.breaches));
  });
  const server: ContractServer = Object.assign(listener satisfies TestServer, state, { url: `${listener.url}${base}` });
  return server;
}

function answered(serveIt: () => Answer, breaches: string[]): Answer {
  try {
    return serveIt();
  } catch (thrown) {
    if (!(thrown instanceof Breach)) throw thrown;
    breaches.push(thrown.message);
    return thrown.answer;
  }
}

function respond(how: Trouble['how'] | undefined, response: ServerResponse, serveIt: () => Answer): void {
  if (how === 'hang') return;
  if (how === 'break') return void response.socket?.destroy();
  if (how === 'lose answer') {
    serveIt();
    return void response.socket?.destroy();
  }
  const { status, body, headers = {} } = typeof how === 'object' ? how : { ...serveIt(), headers: {} };
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

/** One question after a job: it goes on. */
export function advance(job: ServedJob, ends: 'completed' | 'failed'): ServedJob {
  if (job.state === 'queued' && job.ahead > 0) job.ahead -= 1;
  else if (job.state === 'queued') job.state = 'running';
  else if (job.state === 'running' && job.left > 0) job.left -= 1;
  else if (job.state === 'running') job.state = ends;
  return job;
}

/** What a perfect device measures. */
export const outcomeOf = (circuit: Circuit, shots: number) =>
  simulate(requestOf(circuit, { shots, seed: 'device' }), { progress: () => undefined });
