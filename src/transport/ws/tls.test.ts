import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { connectPair } from '../../../test/compliance/transport.ts';
import { makeCertificates } from '../../../test/support/certificates.ts';
import type { Connection } from '../../ports/transport.ts';
import { type TlsFiles, tlsServerOptions } from './options.ts';
import { wsTransport } from './ws-transport.ts';

const certificates = makeCertificates();
const ca = certificates.ca.cert;
const asWss = (url: string): string => url.replace(/^ws:/, 'wss:');
const asWs = (url: string): string => url.replace(/^wss:/, 'ws:');

/** Connects with `tls` to a listener with `listenTls`; expects a final NODE_UNREACHABLE whose message matches. */
async function refused(
  listenTls: TlsFiles | undefined,
  tls: TlsFiles | undefined,
  message: RegExp,
  change: (url: string) => string = (url) => url,
): Promise<void> {
  let accepted = 0;
  const listener = await wsTransport(listenTls === undefined ? {} : { tls: listenTls }).listen(() => {
    accepted += 1;
  });
  try {
    await assert.rejects(
      wsTransport(tls === undefined ? {} : { tls }).connect(change(listener.url)),
      (error: unknown) => {
        const { code, retriable, message: text, hint } = error as Record<string, unknown>;
        assert.deepEqual([code, retriable], ['NODE_UNREACHABLE', false], String(text));
        assert.match(String(text), message);
        assert.ok(typeof hint === 'string' && hint !== '');
        return true;
      },
    );
    assert.equal(accepted, 0);
  } finally {
    await listener.close();
  }
}

const { server, worker, expired, stranger, otherCa } = certificates;
const mutual = { ...server, ca };

test('wss:// to a plain listener', () => refused(undefined, { ca }, /does not speak TLS/, asWss));
test('ws:// to a TLS listener', () => refused(server, undefined, /wants TLS/, asWs));
test('ws:// to a mutual TLS listener', () => refused(mutual, undefined, /wants TLS/, asWs));
test('no CA for the listener', () => refused(server, undefined, /signed by an unknown CA/));
test('another CA than the listener has', () => refused(server, { ca: otherCa.cert }, /signed by an unknown CA/));
test('an expired listener', () => refused(expired, { ca }, /certificate of wss:\S+ has expired/));
test('a listener with other names', () => refused(certificates.elsewhere, { ca }, /issued for other names/));
test('a missing client certificate', () => refused(mutual, { ca }, /requires a client certificate/));
test('an expired client certificate', () =>
  refused(mutual, { ca, ...expired }, /certificate of this node: it has expired/));
test('a client certificate of another CA', () => refused(mutual, { ca, ...stranger }, /not accept the certificate/));

test('mutual TLS with good certificates', async () => {
  const { near, listener } = await connectPair({
    listen: wsTransport({ tls: mutual }).listen,
    connect: wsTransport({ tls: { ca, ...worker } }).connect,
  });
  assert.equal(near.local, false);
  await listener.close();
});

test('the channel binding is the same at both ends, and another on each connection', async () => {
  const accepted: Connection[] = [];
  const listener = await wsTransport({ tls: server }).listen((connection) => accepted.push(connection));
  const client = wsTransport({ tls: { ca } });
  const connections = [await client.connect(listener.url), await client.connect(listener.url)];
  const hex = ({ channelBinding }: Connection): string => Buffer.from(channelBinding ?? []).toString('hex');
  assert.deepEqual(connections.map(hex), accepted.map(hex));
  assert.match(connections.map(hex).join(), /^[0-9a-f]{64},[0-9a-f]{64}$/);
  assert.equal(new Set(connections.map(hex)).size, 2);
  await listener.close();
});

test('there is no channel binding without TLS', async () => {
  const { near, far, listener } = await connectPair(wsTransport());
  assert.deepEqual([near.channelBinding, far.channelBinding], [undefined, undefined]);
  await listener.close();
});

test('a TLS 1.2 client is refused in the handshake', async () => {
  const listener = await wsTransport({ tls: server }).listen(() => assert.fail('not a connection'));
  const port = Number(new URL(listener.url).port);
  const socket = connectTls({ port, host: '127.0.0.1', ca, servername: 'localhost', maxVersion: 'TLSv1.2' });
  const [error] = await once(socket, 'error');
  assert.match(String(error.code), /PROTOCOL_VERSION/);
  await listener.close();
});

test('a shared server that allows TLS 1.2 still gets no node over it', async () => {
  const https = createHttps({ ...server, maxVersion: 'TLSv1.2' });
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  const listener = await wsTransport({ server: https }).listen(() => assert.fail('not a connection'));
  assert.match(listener.url, /^wss:/);
  const { port } = https.address() as AddressInfo;
  const socket = connectTls({ port, host: '127.0.0.1', ca, servername: 'localhost' });
  socket.write(
    'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  const [answer] = await once(socket, 'data');
  assert.match(String(answer), /^HTTP\/1\.1 426 /);
  socket.destroy();
  await assert.rejects(wsTransport({ tls: { ca } }).connect(listener.url), {
    code: 'NODE_UNREACHABLE',
    retriable: false,
    message: /does not speak TLS 1\.3/,
  });
  await listener.close();
  https.close();
});

test('a shared HTTPS server with the options for nodes', async () => {
  const https = createHttps(tlsServerOptions(mutual));
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  const listener = await wsTransport({ server: https }).listen(() => {});
  const connection = await wsTransport({ tls: { ca, ...worker } }).connect(listener.url);
  assert.equal(connection.channelBinding?.length, 32);
  await listener.close();
  https.close();
});

test('certificates that cannot be used are INVALID_CONFIG', async () => {
  const nonsense = { cert: 'no PEM', key: 'no PEM' };
  for (const tls of [nonsense, { cert: server.cert }, { cert: server.cert, key: worker.key }])
    await assert.rejects(
      wsTransport({ tls }).listen(() => {}),
      { code: 'INVALID_CONFIG' },
    );
  await assert.rejects(wsTransport({ tls: nonsense }).connect('wss://localhost:1'), { code: 'INVALID_CONFIG' });
});
