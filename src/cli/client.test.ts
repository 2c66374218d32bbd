import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { apiUrl, createClient } from './client.ts';
import { UsageError } from './exit.ts';

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** A server that answers each request by the next handler. */
async function scripted(...handlers: Handler[]) {
  const seen: { url: string; headers: http.IncomingHttpHeaders }[] = [];
  const server = http.createServer((request, response) => {
    seen.push({ url: request.url ?? '', headers: request.headers });
    const handler = handlers.length > 1 ? handlers.shift() : handlers[0];
    handler?.(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url, seen, close };
}

const item = (seq: number, kind = 'step.checkpoint') =>
  `id: ${seq + 1}\nevent: ${kind}\ndata: ${JSON.stringify({ seq, event: { kind, at: 0 } })}\n\n`;

describe('addresses', () => {
  for (const [text, url] of [
    ['localhost:8080', 'http://localhost:8080/'],
    ['ws://host:1/ws', 'http://host:1/'],
    ['wss://host', 'https://host/'],
    ['https://host/some/path?x', 'https://host/'],
    ['[::1]:80', 'http://[::1]/'],
  ] as const)
    it(`${text} is ${url}`, () => assert.equal(apiUrl(text).href, url));
  for (const text of ['', 'ftp://x', 'http://', 'http://a:b@c', 'a b'])
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => apiUrl(text), UsageError));
});

describe('the client', () => {
  it('takes a broken event stream up where it was', async () => {
    const server = await scripted(
      (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`: hello\n\n${item(0, 'run.started')}${item(1)}id: 9\nevent: cut off\ndata: {"seq"`, () =>
          response.destroy(),
        );
      },
      (_, response) => response.writeHead(503, { 'content-type': 'application/json' }).end('{}'),
      (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(item(2) + item(3, 'run.completed'));
      },
    );
    const found = [];
    for await (const { seq } of createClient({ url: server.url }).events('r')) found.push(seq);
    server.close();
    assert.deepEqual(found, [0, 1, 2, 3]);
    assert.deepEqual(
      server.seen.map(({ headers }) => headers['last-event-id']),
      ['0', '2', '2'],
    );
  });

  it('ends where the server has nothing more', async () => {
    const server = await scripted((_, response) => response.writeHead(204).end());
    for await (const _ of createClient({ url: server.url }).events('r', { fromSeq: 7 })) assert.fail('an event');
    server.close();
    assert.equal(server.seen[0]?.headers['last-event-id'], '7');
  });

  it('sends its token, and shows the problem that it gets', async () => {
    const problem = { type: 't', title: 'x', status: 404, detail: 'no such run', code: 'NOT_FOUND', hint: 'Look.' };
    const server = await scripted((_, response) =>
      response.writeHead(404, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem)),
    );
    const client = createClient({ url: server.url, token: 'secret' });
    for (const call of [client.result('a/b'), client.events('r')[Symbol.asyncIterator]().next()])
      await assert.rejects(call, { name: 'RemoteProblem', code: 'NOT_FOUND', message: 'no such run', hint: 'Look.' });
    server.close();
    assert.equal(server.seen[0]?.headers.authorization, 'Bearer secret');
    assert.equal(server.seen[0]?.url, '/api/v1/runs/a%2Fb');
  });

  it('sends no token in plain text to another machine, unless that is allowed', () => {
    for (const url of [
      'host:8080',
      'http://192.0.2.1',
      'ws://[2001:db8::1]:80',
      'http://localhost.example',
      '127.0.0.1.example:1',
    ]) {
      assert.throws(
        () => createClient({ url, token: 'secret' }),
        (error: UsageError) => {
          assert.ok(error instanceof UsageError);
          assert.ok(!inspect(error).includes('secret'));
          return /plain text/.test(error.message);
        },
      );
      createClient({ url, token: 'secret', insecure: true });
      createClient({ url });
    }
    for (const url of ['localhost:8080', '127.0.0.1:1', 'http://[::1]:80', 'https://host', 'wss://host'])
      createClient({ url, token: 'secret' });
  });

  it('says that another service answers', async () => {
    for (const [status, body] of [
      [200, '<html>'],
      [404, 'not found'],
      [500, '{"code":1}'],
      [302, ''],
    ] as const) {
      const server = await scripted((_, response) => response.writeHead(status).end(body));
      await assert.rejects(createClient({ url: server.url }).network(), { code: 'NODE_UNREACHABLE' });
      server.close();
    }
  });

  it('says why a node is not reached', async () => {
    const server = await scripted((request) => request.socket.destroy());
    await assert.rejects(createClient({ url: server.url }).network(), /the connection was cut/);
    await assert.rejects(createClient({ url: server.url.replace('http', 'https') }).network(), {
      code: 'NODE_UNREACHABLE',
    });
    server.close();
    await assert.rejects(createClient({ url: server.url }).network(), /nothing listens there/);
  });

  it('stops following when it is told to', async () => {
    const server = await scripted((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(item(0, 'run.started'));
    });
    const stop = new AbortController();
    for await (const _ of createClient({ url: server.url }).events('r', { signal: stop.signal })) stop.abort();
    server.close();
  });
});
