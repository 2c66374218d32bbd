import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { networkWebsocket } from '../../../src/adapters/network/websocket/websocket.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { failsWith, listening, loopback, stepContext } from './support.ts';

type Talk = (socket: WebSocket, request: IncomingMessage) => void;

async function serveWs(talk: Talk, options: { tls?: object; deflate?: boolean } = {}) {
  const server = options.tls === undefined ? createServer() : createTlsServer(options.tls);
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: options.deflate === true ? { threshold: 0 } : false,
    handleProtocols: (offered) => (offered.has('v2') ? 'v2' : false),
  });
  sockets.on('connection', talk);
  return listening(server, options.tls === undefined ? 'ws' : 'wss');
}

const speak = (params: JSONObject, context = stepContext()): Promise<JSONObject> =>
  networkWebsocket(params, context, loopback());

/** Answers each message with itself, parsed where it is JSON. */
const echo: Talk = (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));

test('messages of every form go out and come back', async () => {
  await using server = await serveWs(echo);
  const send = ['text', { a: 1 }, [1, 2], 5, { $bytes: 'AAH/' }, '{"not json'];
  const output = await speak({ url: server.url, send, collect: { count: send.length } });
  assert.deepEqual(output.messages, ['text', { a: 1 }, [1, 2], '5', { $bytes: 'AAH/' }, '{"not json']);
  assert.deepEqual(output.result, output.messages);
  assert.equal(output.count, 6);
  assert.deepEqual(output.close, { code: 1000, reason: '', by: 'client' });
  assert.deepEqual(Object.keys(output).sort(), ['close', 'count', 'messages', 'protocol', 'result']);
  const texts = await speak({ url: server.url, send: [{ a: 1 }], collect: { count: 1 }, options: { parse: 'text' } });
  assert.deepEqual(texts.messages, ['{"a":1}']);
  await failsWith(
    'RESPONSE_INVALID',
    speak({ url: server.url, send: ['x'], collect: { count: 1 }, options: { parse: 'json' } }),
    false,
  );
});

test('headers, auth, query, subprotocol and TLS are those of the params', async () => {
  const { ca, server: identity, worker } = makeCertificates();
  let seen: IncomingMessage | undefined;
  const tls = { ...identity, ca: ca.cert, requestCert: true, rejectUnauthorized: true };
  await using server = await serveWs(
    (socket, request) => {
      seen = request;
      socket.close(4001, 'bye');
    },
    { tls },
  );
  const own = { ca: ca.cert, cert: worker.cert, key: worker.key };
  const output = await speak({
    url: `${server.url}/path?a=1`,
    query: { b: 2 },
    headers: { 'X-Own': 'x' },
    auth: { bearer: 't' },
    protocols: ['v1', 'v2'],
    tls: own,
    collect: {},
  });
  assert.equal(seen?.url, '/path?a=1&b=2');
  assert.equal(seen?.headers['x-own'], 'x');
  assert.equal(seen?.headers.authorization, 'Bearer t');
  assert.equal(output.protocol, 'v2');
  assert.deepEqual(output.close, { code: 4001, reason: 'bye', by: 'server' });
  await failsWith('TLS_FAILED', speak({ url: server.url }), false);
  await failsWith('INVALID_PARAMS', speak({ url: server.url, tls: { ca: 'no PEM' } }), false);
});

test('it collects until a message has a value, for a time, or until the server closes', async () => {
  await using server = await serveWs((socket, request) => {
    for (const state of ['queued', 'running', 'done', 'late']) socket.send(JSON.stringify({ job: { state } }));
    if (request.url === '/close') socket.close(1000, 'enough');
  });
  const states = ({ messages }: JSONObject): string[] =>
    (messages as unknown as { job: { state: string } }[]).map(({ job }) => job.state);
  const until = await speak({ url: server.url, collect: { until: { path: 'job.state', equals: 'done' } } });
  assert.deepEqual(states(until), ['queued', 'running', 'done']);
  assert.deepEqual(states(await speak({ url: server.url, collect: { duration_ms: 200 } })), [
    'queued',
    'running',
    'done',
    'late',
  ]);
  const closed = await speak({ url: `${server.url}/close`, collect: {} });
  assert.deepEqual(closed.close, { code: 1000, reason: 'enough', by: 'server' });
  assert.equal(closed.count, 4);
  const message = await failsWith(
    'EXPECTATION_FAILED',
    speak({ url: `${server.url}/close`, collect: { count: 5 } }),
    false,
  );
  assert.match(message, /4 from it/);
  assert.equal((await speak({ url: server.url, send: ['x'] })).count, 0, 'without collect nothing is waited for');
});

test('with wait_reply each message waits for an answer to the one before', async () => {
  const order: string[] = [];
  await using server = await serveWs((socket) =>
    socket.on('message', (data) => {
      order.push(`got ${data}`);
      setImmediate(() => {
        order.push(`answered ${data}`);
        socket.send(String(data));
      });
    }),
  );
  await speak({ url: server.url, send: ['1', '2', '3'], collect: { count: 3 }, options: { wait_reply: true } });
  assert.deepEqual(order, ['got 1', 'answered 1', 'got 2', 'answered 2', 'got 3', 'answered 3']);
});

test('all messages are sent, also where there was enough before', async () => {
  const got: string[] = [];
  await using server = await serveWs((socket) => {
    socket.send('hello');
    socket.on('message', (data) => {
      got.push(String(data));
      socket.send('reply');
    });
  });
  const output = await speak({
    url: server.url,
    send: ['1', '2', '3'],
    collect: { count: 1 },
    options: { wait_reply: true },
  });
  assert.deepEqual([output.messages, got], [['hello'], ['1', '2', '3']]);
});

test('floods and compression bombs are stopped', async () => {
  await using flood = await serveWs((socket) => {
    for (let count = 0; count < 200; count += 1) socket.send('x'.repeat(1000));
  });
  await failsWith('RESPONSE_TOO_LARGE', speak({ url: flood.url, collect: {}, options: { max_messages: 100 } }), false);
  await failsWith('RESPONSE_TOO_LARGE', speak({ url: flood.url, collect: {}, options: { max_bytes: 50_000 } }), false);
  await using bomb = await serveWs((socket) => socket.send(Buffer.alloc(32 * 1024 * 1024)), { deflate: true });
  await failsWith(
    'RESPONSE_TOO_LARGE',
    speak({ url: bomb.url, collect: { count: 1 }, options: { max_bytes: 100_000 } }),
    false,
  );
  await using fine = await serveWs((socket) => socket.send('a'.repeat(100_000)), { deflate: true });
  assert.deepEqual((await speak({ url: fine.url, collect: { count: 1 } })).messages, ['a'.repeat(100_000)]);
});

test('the time-out is a hard one, and a failure after something was sent is not to be repeated', async () => {
  await using silent = await serveWs(() => undefined);
  const options = { timeout: 150 };
  const collect = { count: 1 };
  await failsWith('NETWORK_TIMEOUT', speak({ url: silent.url, collect, options }), true);
  await failsWith('NETWORK_TIMEOUT', speak({ url: silent.url, send: ['order'], collect, options }), false);
  await failsWith(
    'NETWORK_TIMEOUT',
    speak({ url: silent.url, send: ['ask'], collect, options: { ...options, repeatable: true } }),
    true,
  );
  await using deaf = await listening(createTcpServer() as never, 'ws');
  await failsWith('NETWORK_TIMEOUT', speak({ url: deaf.url, options }), true);
});

test('a cancelled step closes its connection', async () => {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const { promise: gone, resolve: end } = Promise.withResolvers<void>();
  await using server = await serveWs((socket) => {
    socket.on('close', () => end());
    open();
  });
  const stop = new AbortController();
  const reason = new StepError('STEP_CANCELLED', 'cancelled');
  const step = speak({ url: server.url, send: ['x'], collect: {} }, stepContext({}, stop.signal));
  await opened;
  stop.abort(reason);
  await assert.rejects(step, (thrown) => thrown === reason);
  await gone;
});

test('a peer that answers no ping is given up; one that does may be silent', async () => {
  await using dead = await serveWs((socket) => socket.pause());
  const params = { collect: { duration_ms: 1500 }, options: { ping_ms: 150 } };
  await failsWith('CONNECTION_FAILED', speak({ ...params, url: dead.url }), true);
  await using silent = await serveWs(() => undefined);
  assert.equal((await speak({ url: silent.url, collect: { duration_ms: 500 }, options: { ping_ms: 150 } })).count, 0);
});

test('what is no WebSocket fails as what it is, and redirects are not followed', async () => {
  let status = 401;
  const http = createServer((_, response) => response.writeHead(status, { location: '/elsewhere' }).end());
  http.on('upgrade', (request, socket) => {
    if (request.url === '/liar')
      socket.end(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
      );
    else socket.end(`HTTP/1.1 ${status} No\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n`);
  });
  await using server = await listening(http, 'ws');
  for (status of [200, 302, 401, 404]) await failsWith('HTTP_STATUS', speak({ url: server.url }), false);
  for (status of [429, 500, 503]) await failsWith('HTTP_STATUS', speak({ url: server.url }), true);
  await failsWith('RESPONSE_INVALID', speak({ url: `${server.url}/liar` }), false);
  await using garbage = await listening(createTcpServer((socket) => socket.end('SSH-2.0\r\n')) as never, 'ws');
  await failsWith('RESPONSE_INVALID', speak({ url: garbage.url }), false);
  await failsWith('CONNECTION_FAILED', speak({ url: 'ws://127.0.0.1:1/' }), true);
  await using dying = await serveWs((socket) => socket.terminate());
  await failsWith('CONNECTION_FAILED', speak({ url: dying.url, collect: {} }), true);
});

test('bad params are refused before anything is sent', async () => {
  let connections = 0;
  await using server = await serveWs(() => (connections += 1));
  for (const params of [
    { headers: { 'Sec-WebSocket-Key': 'hunter2' } },
    { headers: { Upgrade: 'hunter2' } },
    { headers: { 'x-a': 'hunter2\r\n' } },
    { protocols: ['a', 'a'] },
    { protocols: ['a b'] },
    { send: [{ $bytes: 'hunter2!' }] },
    { auth: {} },
    { url: server.url.replace('ws:', 'http:') },
    { url: server.url.replace('ws://', 'ws://u:hunter2@') },
  ] as JSONObject[])
    assert.doesNotMatch(await failsWith('INVALID_PARAMS', speak({ url: server.url, ...params }), false), /hunter2/);
  assert.equal(connections, 0);
});
