import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { Value } from 'typebox/value';
import { type AccessOptions, accessControl } from '../../src/http/access.ts';
import { clientOf, rateLimiter } from '../../src/http/rate-limit.ts';
import { routes } from '../../src/http/routes.ts';
import { type SchemaName, schemas } from '../../src/http/schemas.ts';
import { createHttpServer, type HttpServerOptions } from '../../src/http/server.ts';
import { limits } from '../../src/protocol/limits.ts';
import { ScriptedCoordinator } from './coordinator.ts';

type Server = ReturnType<typeof createHttpServer>;
interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  json: () => Record<string, unknown>;
}

async function listen(options: HttpServerOptions): Promise<{ server: Server; port: number }> {
  const server = createHttpServer(options);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

function send(
  port: number,
  method: string,
  path: string,
  init: { headers?: http.OutgoingHttpHeaders; body?: string | Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { port, host: '127.0.0.1', method, path, headers: init.headers, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) });
        });
      },
    );
    request.on('error', reject);
    request.end(init.body);
  });
}

const asJSON = { 'content-type': 'application/json' };
const workflow = { workflow: 'w', steps: [{ id: 'one', type: 'mock_compute' }] };

describe('the HTTP API', () => {
  const api = new ScriptedCoordinator();
  let server: Server;
  let port: number;
  before(async () => ({ server, port } = await listen({ api, access: { tokens: ['right-token'] } })));
  after(() => close(server));

  const get = (path: string, headers: http.OutgoingHttpHeaders = {}) => send(port, 'GET', path, { headers });
  const post = (path: string, value: unknown, headers: http.OutgoingHttpHeaders = asJSON) =>
    send(port, 'POST', path, { headers, body: typeof value === 'string' ? value : JSON.stringify(value) });
  const submitted = async (): Promise<string> => String((await post('/api/v1/runs', { workflow })).json().run_id);

  it('starts a run and says where it is', async () => {
    const answer = await post('/api/v1/runs', { workflow, input: { x: 1 } });
    assert.equal(answer.status, 202);
    const { run_id: runId, created } = answer.json();
    assert.equal(created, true);
    assert.equal(answer.headers.location, `/api/v1/runs/${runId}`);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.deepEqual(api.runsById.get(String(runId))?.submitted, { workflow, input: { x: 1 } });
  });

  it('passes the bare source of a workflow on as it is', async () => {
    const source = '{ "workflow": "w" ,, }';
    const answer = await post('/api/v1/runs', source, { 'content-type': 'application/vnd.jsonflow.workflow+json' });
    assert.equal(api.runsById.get(String(answer.json().run_id))?.submitted.workflow, source);
  });

  it('honours Idempotency-Key', async () => {
    const headers = { ...asJSON, 'idempotency-key': 'k-1' };
    const first = (await post('/api/v1/runs', { workflow }, headers)).json();
    const second = (await post('/api/v1/runs', { workflow }, headers)).json();
    assert.deepEqual(second, { run_id: first.run_id, created: false });
    assert.equal((await post('/api/v1/runs', { workflow }, { ...asJSON, 'idempotency-key': 'a b' })).status, 400);
  });

  it('pages through runs', async () => {
    while (api.runsById.size < 3) await submitted();
    const first = (await get('/api/v1/runs?limit=2')).json();
    assert.equal((first.runs as unknown[]).length, 2);
    const next = (await get(`/api/v1/runs?limit=2&cursor=${first.cursor}`)).json();
    assert.notDeepEqual(next.runs, first.runs);
  });

  it('answers what its document promises', async () => {
    const runId = await submitted();
    const promised: [path: string, schema: SchemaName][] = [
      ['/api/v1/runs', 'RunList'],
      [`/api/v1/runs/${runId}`, 'Result'],
      [`/api/v1/runs/${runId}/bundle`, 'Bundle'],
      ['/api/v1/nodes', 'Network'],
      ['/api/v1/keys', 'TrustFile'],
      ['/healthz', 'Alive'],
      ['/readyz', 'Health'],
    ];
    api.complete(runId);
    for (const [path, schema] of promised) {
      const answer = await get(path);
      assert.equal(answer.status, 200, path);
      const errors = Value.Errors(schemas, schemas[schema], answer.json());
      assert.deepEqual(errors, [], path);
    }
  });

  const refusals: [what: string, status: number, code: string, call: () => Promise<Answer>][] = [
    ['an unknown path', 404, 'NOT_FOUND', () => get('/api/v2')],
    ['an unknown run', 404, 'NOT_FOUND', () => get('/api/v1/runs/nope')],
    ['a run id that is none', 404, 'NOT_FOUND', () => get('/api/v1/runs/%00')],
    ['a wrong method', 405, 'METHOD_NOT_ALLOWED', () => send(port, 'DELETE', '/api/v1/runs')],
    [
      'text as a body',
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      () => post('/api/v1/runs', '{}', { 'content-type': 'text/plain' }),
    ],
    ['a body without a type', 415, 'UNSUPPORTED_MEDIA_TYPE', () => post('/api/v1/runs', '{}', {})],
    ['broken JSON', 400, 'INVALID_JSON', () => post('/api/v1/runs', '{')],
    ['a doubled key', 400, 'NOT_I_JSON', () => post('/api/v1/runs', '{"workflow":1,"workflow":2}')],
    ['no workflow', 400, 'INVALID_PARAMS', () => post('/api/v1/runs', {})],
    ['a list as a body', 400, 'INVALID_PARAMS', () => post('/api/v1/runs', [])],
    ['an unknown member', 400, 'INVALID_PARAMS', () => post('/api/v1/runs', { workflow, inputs: 1 })],
    ['an unknown parameter', 400, 'INVALID_PARAMS', () => get('/api/v1/runs?curser=1')],
    ['a limit out of range', 400, 'INVALID_PARAMS', () => get('/api/v1/runs?limit=501')],
    ['a status that does not exist', 400, 'INVALID_PARAMS', () => get('/api/v1/runs?status=done')],
    ['a parameter given twice', 400, 'INVALID_PARAMS', () => get('/api/v1/runs?limit=1&limit=2')],
    [
      'a bad Last-Event-ID',
      400,
      'INVALID_PARAMS',
      async () => get(`/api/v1/runs/${await submitted()}/events`, { 'last-event-id': 'x' }),
    ],
    ['events of no run', 404, 'NOT_FOUND', () => get('/api/v1/runs/nope/events')],
    ['later events of no run', 404, 'NOT_FOUND', () => get('/api/v1/runs/nope/events', { 'last-event-id': '3' })],
    ['a bundle too early', 409, 'CONFLICT', async () => get(`/api/v1/runs/${await submitted()}/bundle`)],
    ['a wrong token', 401, 'UNAUTHORIZED', () => get('/api/v1/runs', { authorization: 'Bearer wrong-token' })],
    ['a forwarded request', 401, 'UNAUTHORIZED', () => get('/api/v1/runs', { 'x-forwarded-for': '10.0.0.1' })],
    ['a foreign name for this machine', 403, 'FORBIDDEN', () => get('/api/v1/runs', { host: 'evil.example' })],
    ['a page of another origin', 403, 'FORBIDDEN', () => get('/api/v1/runs', { origin: 'https://evil.example' })],
    ['a page without an origin', 403, 'FORBIDDEN', () => get('/api/v1/runs', { origin: 'null' })],
    [
      'a body above the limit',
      413,
      'LIMIT_EXCEEDED',
      () =>
        send(port, 'POST', '/api/v1/runs', { headers: { ...asJSON, 'content-length': limits.httpBodyBytesMax + 1 } }),
    ],
  ];
  for (const [what, status, code, call] of refusals)
    it(`refuses ${what}`, async () => {
      const answer = await call();
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.headers['content-type'], 'application/problem+json');
      const problem = answer.json();
      assert.equal(problem.code, code);
      assert.equal(problem.type, `urn:jsonflow:problem:${code}`);
      assert.deepEqual(Value.Errors(schemas.Problem, problem), []);
    });

  it('suggests what was meant', async () => {
    const problem = (await get('/api/v1/runs?curser=1')).json();
    assert.equal(problem.hint, 'Did you mean "cursor"?');
  });

  it('lets a token open what the origin closes', async () => {
    const answer = await get('/api/v1/runs', { authorization: 'Bearer right-token', host: 'public.example' });
    assert.equal(answer.status, 200);
  });

  it('shows nothing of an unexpected error', async () => {
    api.failWith = new Error('the password is 1234');
    const answer = await post('/api/v1/runs', { workflow });
    api.failWith = undefined;
    assert.equal(answer.status, 500);
    assert.ok(!answer.text.includes('1234'));
  });

  it('cancels, with or without a reason', async () => {
    const runId = await submitted();
    const answer = await post(`/api/v1/runs/${runId}/cancel`, { why: 'enough' });
    assert.equal(answer.status, 202);
    assert.equal(api.cancelledBecause, 'enough');
    assert.equal((await send(port, 'POST', `/api/v1/runs/${runId}/cancel`)).status, 202);
    assert.equal((await post(`/api/v1/runs/${runId}/cancel`, { whi: 'x' })).status, 400);
  });

  it('says whether it is ready, without details', async () => {
    api.healthStatus = 'failed';
    const answer = await get('/readyz', { host: 'probe.example' });
    api.healthStatus = 'ok';
    assert.equal(answer.status, 503);
    assert.ok(!answer.text.includes('insiders'));
    assert.equal((await get('/readyz')).status, 200);
  });

  it('measures', async () => {
    const { text, headers } = await get('/metrics');
    assert.match(String(headers['content-type']), /^text\/plain/);
    for (const line of [
      'jsonflow_runs_total{event="started"} 3',
      'jsonflow_steps_total{outcome="succeeded"} 7',
      'jsonflow_nodes_connected 1',
      'jsonflow_journal_total{kind="commits"} 4',
    ])
      assert.ok(text.includes(`${line}\n`), line);
    assert.match(text, /jsonflow_build_info\{version="/);
    assert.match(text, /nodejs_eventloop_lag/);
    assert.match((await get('/metrics')).text, /jsonflow_http_request_duration_seconds_bucket\{.*route="\/metrics"/);
  });

  it('never crashes on anything sent to it', async () => {
    const seed = 20_26;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...routes.map(({ path }) => path), '/x', '//', '/api/v1/runs/../nodes', '/%zz'),
        fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS', 'HEAD'),
        fc.dictionary(
          fc.constantFrom(
            'content-type',
            'idempotency-key',
            'authorization',
            'origin',
            'host',
            'last-event-id',
            'forwarded',
          ),
          fc
            .oneof(
              fc.constantFrom('application/json', 'Bearer x', 'http://[', '[::1', 'a:b:c', '9'.repeat(40)),
              fc.string(),
            )
            .map((text) => text.replaceAll(/[^\x20-\x7e]/g, '')),
        ),
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.constant('['.repeat(100)),
          fc.constant('{"__proto__":{"a":1},"workflow":{}}'),
        ),
        async (path, method, headers, body) => {
          const target = path.replace('{run_id}', 'nope');
          const withBody = method === 'POST' || method === 'PUT' ? { body } : {};
          const answer = await send(port, method, target, { headers, ...withBody });
          assert.ok(answer.status < 500, `${method} ${path}: ${answer.status} ${answer.text}`);
        },
      ),
      { seed, numRuns: 300 },
    );
    assert.equal((await get('/healthz')).status, 200);
  });

  it('survives what is no HTTP', async () => {
    for (const bytes of [
      '\0\0\0\0',
      'GET / HTTP/9.9\r\n\r\n',
      'POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n',
    ]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.end(bytes);
      socket.resume();
      await once(socket, 'close');
    }
    assert.equal((await get('/healthz')).status, 200);
  });
});

describe('a port that is shared with a transport', () => {
  const offer = (port: number, upgrade: string) =>
    send(port, 'POST', '/api/v1/runs', {
      headers: { ...asJSON, connection: 'Upgrade, HTTP2-Settings', upgrade, 'http2-settings': 'AAMAAABkAAQAAP__' },
      body: JSON.stringify({ workflow }),
    });

  it('serves a request that offers another protocol, body and all', async () => {
    const { server, port } = await listen({ api: new ScriptedCoordinator() });
    const handed: unknown[] = [];
    server.on('upgrade', (request, socket) => {
      handed.push(request.headers.upgrade);
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
    for (const upgrade of ['h2c', 'TLS/1.2', 'h2c, websocket', ''])
      assert.equal((await offer(port, upgrade)).status, 202, upgrade);
    assert.deepEqual(handed, []);
    for (const upgrade of ['websocket', 'WebSocket']) assert.equal((await offer(port, upgrade)).status, 404);
    assert.deepEqual(handed, ['websocket', 'WebSocket']);
    await close(server);
  });

  it('serves every request where there is no transport', async () => {
    const { server, port } = await listen({ api: new ScriptedCoordinator() });
    for (const upgrade of ['h2c', 'websocket']) assert.equal((await offer(port, upgrade)).status, 202);
    await close(server);
  });
});

describe('the event stream', () => {
  /** Reads a stream until it ends or `enough` says so. */
  const read = (port: number, runId: string, lastEventId: string | undefined, enough: (text: string) => boolean) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      const request = http.get(
        { port, host: '127.0.0.1', path: `/api/v1/runs/${runId}/events`, headers, agent: false },
        (response) => {
          let text = '';
          const done = () => resolve({ status: response.statusCode ?? 0, text });
          response.setEncoding('utf8');
          response.on('data', (chunk) => {
            text += chunk;
            if (enough(text)) {
              done();
              request.destroy();
            }
          });
          response.on('end', done);
          response.on('error', done);
        },
      );
      request.on('error', reject);
    });
  const ids = (text: string): string[] => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => String(id));
  const checkpoint = (seq: number) => ({
    seq,
    event: { kind: 'step.checkpoint' as const, at: 1, step: 'one', attempt: 1, state: { value: seq } },
  });

  it('goes on where a client left off, without a gap or a double', async () => {
    const api = new ScriptedCoordinator();
    const { server, port } = await listen({ api });
    const { run_id: runId } = await api.submit({ workflow });
    for (const seq of [1, 2, 3]) api.add(runId, checkpoint(seq));
    const first = await read(port, runId, undefined, (text) => ids(text).includes('2'));
    assert.deepEqual(ids(first.text).slice(0, 2), ['1', '2']);
    const rest = read(port, runId, '2', () => false);
    api.add(runId, {
      seq: null,
      event: { kind: 'step.progress', at: 1, step: 'one', attempt: 1, fraction: 0.5, note: '' },
    });
    api.add(runId, checkpoint(4));
    api.complete(runId);
    const { text } = await rest;
    assert.deepEqual(ids(text), ['3', '4', '5', '6']);
    assert.match(text, /event: step\.progress\ndata: \{"seq":null/);
    assert.match(text, /event: run\.completed\ndata: /);
    await close(server);
  });

  it('answers 204 when there is nothing more to come', async () => {
    const api = new ScriptedCoordinator();
    const { server, port } = await listen({ api });
    const { run_id: runId } = await api.submit({ workflow });
    api.complete(runId);
    assert.equal((await read(port, runId, '2', () => false)).status, 204);
    await close(server);
  });

  it('answers HEAD without holding a place', async () => {
    const api = new ScriptedCoordinator();
    const { server, port } = await listen({ api, streamsMax: 1 });
    const { run_id: runId } = await api.submit({ workflow });
    for (let i = 0; i < 3; i++) {
      const { status, headers, text } = await send(port, 'HEAD', `/api/v1/runs/${runId}/events`);
      assert.equal(status, 200);
      assert.match(String(headers['content-type']), /^text\/event-stream/);
      assert.equal(text, '');
    }
    while (api.openStreams > 0) await new Promise(setImmediate);
    assert.match((await read(port, runId, undefined, (text) => text.includes('run.started'))).text, /run\.started/);
    assert.equal((await send(port, 'HEAD', '/api/v1/runs')).status, 200);
    assert.equal((await send(port, 'HEAD', '/api/v1/runs/none/events')).status, 404);
    await close(server);
  });

  it('lets go of the coordinator when the client leaves, and ends when the server closes', async () => {
    const api = new ScriptedCoordinator();
    const { server, port } = await listen({ api, streamsMax: 1 });
    const { run_id: runId } = await api.submit({ workflow });
    await read(port, runId, undefined, (text) => text.includes('run.started'));
    while (api.openStreams > 0) await new Promise(setImmediate);
    const begun = Promise.withResolvers<void>();
    const open = read(port, runId, undefined, (text) => {
      if (text.includes('run.started')) begun.resolve();
      return false;
    });
    await begun.promise;
    const second = await send(port, 'GET', `/api/v1/runs/${runId}/events`);
    assert.equal(second.status, 503);
    assert.equal(second.json().code, 'OVERLOADED');
    await close(server);
    assert.match((await open).text, /run\.started/);
    assert.equal(api.openStreams, 0);
  });
});

describe('rate limits', () => {
  it('answers 429 with the time to wait, but not to health checks', async () => {
    const { server, port } = await listen({
      api: new ScriptedCoordinator(),
      rateLimit: { perSecond: 0.001, burst: 2 },
    });
    const statuses = [];
    for (let count = 0; count < 3; count++) statuses.push(await send(port, 'GET', '/api/v1/nodes'));
    assert.deepEqual(
      statuses.map(({ status }) => status),
      [200, 200, 429],
    );
    assert.ok(Number(statuses[2]?.headers['retry-after']) > 0);
    assert.equal((await send(port, 'GET', '/healthz')).status, 200);
    await close(server);
  });

  it('refills by time and forgets the least recent client', () => {
    let now = 0;
    const take = rateLimiter({ perSecond: 1, burst: 1, clientsMax: 2 }, () => now);
    assert.deepEqual([take('a'), take('a')], [0, 1]);
    now = 1000;
    assert.equal(take('a'), 0);
    take('b');
    take('c');
    assert.equal(take('a'), 0, 'forgotten, so it begins anew');
    assert.equal(take('c'), 1);
  });

  it('counts an IPv6 network as one client', () => {
    assert.equal(clientOf('2001:db8:1:2:3::4'), clientOf('2001:db8:1:2:ffff::9'));
    assert.notEqual(clientOf('2001:db8:1:2::4'), clientOf('2001:db8:1:3::4'));
    assert.equal(clientOf('::ffff:10.0.0.1'), '10.0.0.1');
    assert.equal(clientOf('::1'), clientOf('::2'));
  });
});

describe('access', () => {
  const decide = (options: AccessOptions, address: string, headers: Record<string, string>): string => {
    try {
      accessControl(options)({ address, header: (name) => headers[name] });
      return 'ok';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const local = { host: 'localhost:8080' };
  const table: [AccessOptions, address: string, headers: Record<string, string>, expected: string][] = [
    [{}, '127.0.0.1', local, 'ok'],
    [{}, '::ffff:127.0.0.1', { host: '[::1]:8080' }, 'ok'],
    [{}, '127.0.0.1', { ...local, origin: 'http://localhost:8080' }, 'ok'],
    [{}, '127.0.0.1', { ...local, origin: 'http://localhost:3000' }, 'FORBIDDEN'],
    [{}, '127.0.0.1', { ...local, 'sec-fetch-site': 'cross-site' }, 'FORBIDDEN'],
    [{}, '127.0.0.1', { host: 'localhost.evil.example' }, 'FORBIDDEN'],
    [{}, '127.0.0.1', {}, 'FORBIDDEN'],
    [{}, '10.0.0.1', local, 'UNAUTHORIZED'],
    [{ tokens: [''] }, '10.0.0.1', { ...local, authorization: 'Bearer ' }, 'UNAUTHORIZED'],
    [{ tokens: ['t'] }, '10.0.0.1', { authorization: 'Bearer t' }, 'ok'],
    [{ tokens: ['s', 't'] }, '10.0.0.1', { authorization: 'bearer s' }, 'ok'],
    [{ tokens: ['t'] }, '10.0.0.1', { authorization: 'Bearer T' }, 'UNAUTHORIZED'],
    [{ tokens: ['t'], tokenOnLoopback: true }, '127.0.0.1', local, 'UNAUTHORIZED'],
  ];
  for (const [options, address, headers, expected] of table)
    it(`${expected} for ${address} ${JSON.stringify(headers)} with ${JSON.stringify(options)}`, () =>
      assert.equal(decide(options, address, headers), expected));
});

describe('the OpenAPI document', () => {
  it('describes exactly the routes that are served, and every reference leads somewhere', async () => {
    const { server, port } = await listen({ api: new ScriptedCoordinator() });
    const answer = await send(port, 'GET', '/api/openapi.json');
    const document = answer.json() as {
      openapi: string;
      paths: Record<
        string,
        Record<string, { operationId: string; responses: object; parameters?: { name: string }[] }>
      >;
      components: { schemas: Record<string, unknown> };
    };
    assert.match(document.openapi, /^3\.1\./);
    const described = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(described.sort(), routes.map(({ method, path }) => `${method} ${path}`).sort());
    const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
    assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
    for (const { responses } of operations) assert.ok(Object.keys(responses).length > 0);
    for (const [, name] of answer.text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g))
      assert.ok(document.components.schemas[String(name)] !== undefined, name);
    assert.ok(!/"\$ref":"(?!#)/.test(answer.text));
    for (const { method, path } of routes) {
      const reached = await send(port, method, path.replace('{run_id}', 'nope'), { headers: asJSON });
      assert.notEqual(reached.status, 405, path);
    }
    await close(server);
  });
});
