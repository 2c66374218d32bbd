import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { closed, ping, receive, transportCompliance } from '../../../test/compliance/transport.ts';
import { makeCertificates } from '../../../test/support/certificates.ts';
import type { Connection } from '../../ports/transport.ts';
import { limits } from '../../protocol/limits.ts';
import { wsTransport } from './ws-transport.ts';

const nowhere = 'localhost:1';
transportCompliance('ws', () => ({ transport: wsTransport(), nowhere }));

const certificates = makeCertificates();
transportCompliance('wss', () => ({
  transport: wsTransport({ tls: { ...certificates.server, ca: certificates.ca.cert } }),
  nowhere: 'wss://localhost:1',
}));

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

async function httpServer(): Promise<Server> {
  const server = createServer((_request, response) => response.end('http'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Sends raw bytes and reads until the other side closes. */
async function rawExchange(port: number, text: string): Promise<string> {
  const socket = connectTcp(port, '127.0.0.1');
  socket.write(text);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  return answer;
}

const upgradeRequest = (path: string, ...headers: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', ...headers, '', ''].join(
    '\r\n',
  );
const handshake = ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'];

test('a server shares its port with nodes, and stays open when they no longer may connect', async () => {
  const server = await httpServer();
  const listener = await wsTransport({ server }).listen((connection) =>
    connection.onPacket((packet) => connection.send(packet)),
  );
  assert.equal(listener.url, `ws://127.0.0.1:${portOf(server)}/ws`);
  const connection = await wsTransport().connect(`localhost:${portOf(server)}`);
  connection.send(ping(1));
  await receive(connection, 1);
  assert.equal(await (await fetch(`http://127.0.0.1:${portOf(server)}/ws`)).text(), 'http');
  await listener.close();
  assert.equal(await (await fetch(`http://127.0.0.1:${portOf(server)}/ws`)).text(), 'http');
  assert.equal(server.listenerCount('upgrade'), 0);
  server.closeAllConnections();
  server.close();
});

test('upgrades of other paths get a 404, unless someone else handles them', async () => {
  const server = await httpServer();
  const listener = await wsTransport({ server }).listen(() => {});
  const request = upgradeRequest('/other', ...handshake);
  assert.match(await rawExchange(portOf(server), request), /^HTTP\/1\.1 404 /);
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 418 Teapot\r\n\r\n'));
  assert.match(await rawExchange(portOf(server), request), /^HTTP\/1\.1 418 /);
  await listener.close();
  server.close();
});

test('another path is served where it is set, and taken from the address', async () => {
  const listener = await wsTransport({ path: '/nodes' }).listen(() => {});
  assert.match(listener.url, /\/nodes$/);
  const { host } = new URL(listener.url);
  (await wsTransport().connect(`${host}/nodes`)).close();
  (await wsTransport({ path: '/nodes' }).connect(host)).close();
  await assert.rejects(wsTransport().connect(host), { code: 'NODE_UNREACHABLE', retriable: false, message: /404/ });
  await listener.close();
});

test('the troubleshooting request without a key is told 101, then closed', async () => {
  const listener = await wsTransport().listen(() => assert.fail('not a connection'));
  const port = Number(new URL(listener.url).port);
  const answer = await rawExchange(port, upgradeRequest('/ws'));
  assert.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n$/);
  await listener.close();
});

test('a request with key and version becomes a connection', async () => {
  const accepted = Promise.withResolvers<Connection>();
  const listener = await wsTransport().listen(accepted.resolve);
  const socket = connectTcp(Number(new URL(listener.url).port), '127.0.0.1');
  socket.write(upgradeRequest('/ws', ...handshake));
  const [head] = await once(socket, 'data');
  assert.match(String(head), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  // The accept value for the key of RFC 6455 §1.3.
  assert.match(String(head), /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
  const end = closed(await accepted.promise);
  socket.destroy();
  assert.equal(((await end) as { code?: string }).code, 'NODE_LOST');
  await listener.close();
});

test('half a handshake gets a 400, a web page a 403', async () => {
  const listener = await wsTransport().listen(() => assert.fail('not a connection'));
  const port = Number(new URL(listener.url).port);
  for (const headers of [['Sec-WebSocket-Version: 13'], ['Sec-WebSocket-Key: short', 'Sec-WebSocket-Version: 13']])
    assert.match(await rawExchange(port, upgradeRequest('/ws', ...headers)), /^HTTP\/1\.1 400 /);
  for (const headers of [[], handshake])
    assert.match(
      await rawExchange(port, upgradeRequest('/ws', 'Origin: http://evil.example', ...headers)),
      /^HTTP\/1\.1 403 /,
    );
  await listener.close();
});

test('an own listener answers plain requests with 426 and waits for nobody when it closes', async () => {
  const listener = await wsTransport().listen(() => {});
  const port = Number(new URL(listener.url).port);
  assert.equal((await fetch(`http://127.0.0.1:${port}/ws`)).status, 426);
  const silent = connectTcp(port, '127.0.0.1');
  await once(silent, 'connect');
  const gone = once(silent, 'close');
  silent.on('error', () => {});
  await listener.close();
  await gone;
});

test('a taken port is INVALID_CONFIG', async () => {
  const server = await httpServer();
  await assert.rejects(
    wsTransport({ port: portOf(server) }).listen(() => {}),
    { code: 'INVALID_CONFIG' },
  );
  server.close();
});

test('a listener that never answers: time-out, and the signal', async () => {
  const silent = createTcpServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const url = `ws://127.0.0.1:${portOf(silent)}`;
  await assert.rejects(wsTransport({ connectTimeoutMs: 50 }).connect(url), {
    code: 'NODE_UNREACHABLE',
    retriable: true,
    message: /did not answer/,
  });
  const controller = new AbortController();
  silent.once('connection', () => controller.abort(new Error('never mind')));
  await assert.rejects(wsTransport().connect(url, { signal: controller.signal }), /never mind/);
  silent.close();
});

test('what is no node is said to be none', async () => {
  const ssh = createTcpServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.6\r\n'));
  ssh.listen(0, '127.0.0.1');
  await once(ssh, 'listening');
  await assert.rejects(wsTransport().connect(`ws://127.0.0.1:${portOf(ssh)}`), {
    code: 'NODE_UNREACHABLE',
    retriable: false,
  });
  ssh.close();
});

test('a peer that is not welcomed is limited in number, bytes and time', async () => {
  const accepted: Connection[] = [];
  const listener = await wsTransport({ pendingMax: 2 }).listen((connection) => accepted.push(connection));
  const [first] = await Promise.all([wsTransport().connect(listener.url), wsTransport().connect(listener.url)]);
  await assert.rejects(wsTransport().connect(listener.url), { code: 'NODE_UNREACHABLE', retriable: true });

  for (const connection of accepted)
    connection.send({ message: { kind: 'welcome', epoch: 1, heartbeat_ms: 1, drop: [] } });
  await receiveWelcome(first);
  const third = await wsTransport().connect(listener.url);
  const end = closed(accepted[2] ?? assert.fail());
  third.send({ message: { kind: 'refuse', code: 'x', message: 'y'.repeat(limits.handshakeBytesMax) } });
  assert.equal(((await end) as { code?: string }).code, 'LIMIT_EXCEEDED');
  await listener.close();

  const hasty = await wsTransport({ handshakeTimeoutMs: 20 }).listen((connection) => accepted.push(connection));
  await wsTransport().connect(hasty.url);
  assert.equal(((await closed(accepted.at(-1) ?? assert.fail())) as { code?: string }).code, 'NODE_REFUSED');
  await hasty.close();
});

const receiveWelcome = (connection: Connection): Promise<unknown> =>
  new Promise((resolve) => connection.onPacket(resolve));

test('a close that the peer does not answer ends all the same', async () => {
  const accepted = Promise.withResolvers<Connection>();
  const listener = await wsTransport({ closeTimeoutMs: 50 }).listen(accepted.resolve);
  const deaf = new WebSocket(listener.url);
  await once(deaf, 'open');
  deaf.pause();
  const end = closed(await accepted.promise);
  await listener.close();
  assert.equal(await end, undefined);
  deaf.terminate();
});

test('packets of one turn share a frame', async () => {
  const accepted = Promise.withResolvers<Connection>();
  const listener = await wsTransport().listen(accepted.resolve);
  const raw = new WebSocket(listener.url);
  await once(raw, 'open');
  const far = await accepted.promise;
  let frames = 0;
  raw.on('message', () => {
    frames += 1;
  });
  for (let at = 0; at < 100; at++) far.send(ping(at));
  await Promise.resolve().then(() => far.send(ping(100)));
  far.close();
  await once(raw, 'close');
  assert.equal(frames, 1);
  await listener.close();
});
