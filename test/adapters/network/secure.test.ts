import assert from 'node:assert/strict';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createTlsHttpServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { createEgress } from '../../../src/egress/egress.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { client, failsWith, json, listening, loopback, serve, stepContext, storedBytes } from './support.ts';

const certificates = makeCertificates();
const { ca, server: identity, worker, expired, elsewhere, stranger } = certificates;
const tls = { ca: ca.cert };

test('certificates are verified: authority, time and name', async () => {
  await using net = client();
  {
    await using server = await serve((_, response) => json(response, { ok: true }), identity);
    assert.deepEqual((await net.request({ url: server.url, tls })).body, { ok: true });
    await failsWith('TLS_FAILED', net.request({ url: server.url }), false);
    await failsWith('TLS_FAILED', net.request({ url: server.url, tls: { ca: certificates.otherCa.cert } }), false);
    await failsWith(
      'TLS_FAILED',
      net.request({ url: server.url, tls: { ...tls, server_name: 'other.example' } }),
      false,
    );
  }
  for (const bad of [expired, elsewhere, stranger]) {
    await using server = await serve((_, response) => json(response, {}), bad);
    await failsWith('TLS_FAILED', net.request({ url: server.url, tls }), false);
  }
  await using named = await serve((_, response) => json(response, { ok: true }), elsewhere);
  const output = await net.request({ url: named.url, tls: { ...tls, server_name: 'elsewhere.example' } });
  assert.deepEqual(output.body, { ok: true });
});

test('old versions of TLS and plain HTTP on a TLS port are refused', async () => {
  await using net = client();
  await using old = await serve((_, response) => json(response, {}), {
    ...identity,
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT:@SECLEVEL=0',
  });
  await failsWith('TLS_FAILED', net.request({ url: old.url, tls }), false);
  await using plain = await serve((_, response) => json(response, {}));
  await failsWith('TLS_FAILED', net.request({ url: plain.url.replace('http:', 'https:'), tls }), false);
});

test('a client certificate is shown where it is asked for, and to nobody else after a redirect', async () => {
  const mutual = { ...identity, ca: ca.cert, requestCert: true, rejectUnauthorized: true };
  await using server = await serve((request, response) => {
    const { socket } = request as unknown as { socket: { getPeerCertificate(): { subject: { CN: string } } } };
    json(response, { name: socket.getPeerCertificate().subject.CN });
  }, mutual);
  await using net = client();
  const own = { ...tls, cert: worker.cert, key: worker.key };
  assert.deepEqual((await net.request({ url: server.url, tls: own })).body, { name: 'worker' });
  // With TLS 1.3 the refusal comes after the handshake, as an alert or as a closed connection.
  const refused = async (url: string, shown: JSONObject): Promise<void> =>
    assert.rejects(net.request({ url, tls: { ...tls, ...shown } }), (thrown) => {
      assert.ok(
        thrown instanceof StepError && ['TLS_FAILED', 'CONNECTION_FAILED'].includes(thrown.code),
        String(thrown),
      );
      assert.match(thrown.message, /tls\.cert/);
      return true;
    });
  await refused(server.url, {});
  await refused(server.url, { ...stranger });
  await using away = await serve((_, response) => response.writeHead(302, { location: server.url }).end(), mutual);
  await refused(away.url, own);
  assert.equal(server.requests.length, 1);
  await failsWith(
    'INVALID_PARAMS',
    net.request({ url: server.url, tls: { ...tls, cert: 'no PEM', key: 'none' } }),
    false,
  );
});

test('a redirect from https to http is not followed', async () => {
  await using plain = await serve((_, response) => json(response, {}));
  await using server = await serve((_, response) => response.writeHead(302, { location: plain.url }).end(), identity);
  await using net = client();
  await failsWith('EGRESS_DENIED', net.request({ url: server.url, tls }), false);
  assert.equal(plain.requests.length, 0);
  await using up = await serve((_, response) => response.writeHead(302, { location: `${server.url}/` }).end());
  await failsWith('EGRESS_DENIED', net.request({ url: up.url, tls }), false);
  assert.equal(server.requests.length, 2, 'from http to https is fine');
});

/** A server that speaks HTTP/2, and HTTP/1.1 to who doesn't. */
async function serve2() {
  const server = createSecureServer({ ...identity, allowHTTP1: true }, async (request, response) => {
    if (request.url === '/die') return void request.stream.session?.destroy();
    if (request.url === '/reset') return void request.stream.close(2);
    if (request.url === '/hang') return;
    if (request.url === '/large') return void response.end(Buffer.alloc(5_000_000, 'x'));
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    response.setHeader('content-type', 'application/json');
    response.setHeader('set-cookie', ['a=1', 'b=2']);
    const { method, url, httpVersion, headers } = request;
    const session = request.stream?.session === undefined ? null : request.socket.remotePort;
    const body = Buffer.concat(pieces).toString();
    response.end(
      JSON.stringify({ method, url, httpVersion, length: body.length, session, type: headers['content-type'] }),
    );
  });
  server.on('sessionError', () => undefined);
  return listening(server as unknown as Server, 'https');
}

test('HTTP/2 is spoken with who offers it, over one connection, and HTTP/1.1 where it is switched off', async () => {
  await using server = await serve2();
  await using net = client();
  const first = await net.request({ url: `${server.url}/a?b=1`, tls, method: 'POST', body: { a: 1 } });
  const body = first.body as JSONObject;
  assert.deepEqual(
    [body.httpVersion, body.method, body.url, body.length, body.type],
    ['2.0', 'POST', '/a?b=1', 7, 'application/json'],
  );
  assert.deepEqual((first.headers as JSONObject)['set-cookie'], ['a=1', 'b=2']);
  assert.deepEqual(
    Object.keys(first.headers as JSONObject).filter((name) => name.startsWith(':')),
    [],
  );
  const many = await Promise.all(Array.from({ length: 50 }, () => net.request({ url: server.url, tls })));
  assert.equal(server.sockets.size, 1);
  assert.ok(many.every((one) => (one.body as JSONObject).httpVersion === '2.0'));
  const old = await net.request({ url: server.url, tls, options: { http2: false } });
  assert.equal((old.body as JSONObject).httpVersion, '1.1');
});

test('HTTP/2: large bodies both ways, death, resets and time-outs', async () => {
  await using server = await serve2();
  await using net = client();
  const context = stepContext();
  const large = await net.request({ url: `${server.url}/large`, tls }, context);
  assert.equal((await storedBytes(large.body, context)).length, 5_000_000);
  const sent = await net.request({ url: server.url, tls, method: 'PUT', body: large.body ?? null }, context);
  assert.equal((sent.body as JSONObject).length, 5_000_000);
  await failsWith('CONNECTION_FAILED', net.request({ url: `${server.url}/die`, tls }), true);
  await failsWith('CONNECTION_FAILED', net.request({ url: `${server.url}/reset`, tls }), true);
  await failsWith('NETWORK_TIMEOUT', net.request({ url: `${server.url}/hang`, tls, options: { timeout: 100 } }), true);
  assert.equal((await net.request({ url: server.url, tls })).status, 200, 'and it goes on after all that');
});

interface Proxy extends AsyncDisposable {
  url: string;
  asked: { target: string; auth: string | undefined }[];
}

/** A real CONNECT proxy. */
async function serveProxy(secure = false): Promise<Proxy> {
  const asked: Proxy['asked'] = [];
  const server = secure ? createTlsHttpServer(identity) : createHttpServer();
  server.on('connect', (request, socket: Socket, head) => {
    asked.push({ target: request.url ?? '', auth: request.headers['proxy-authorization'] });
    if (request.headers['proxy-authorization'] === 'Basic bm86') return void socket.end('HTTP/1.1 407 No\r\n\r\n');
    const { hostname, port } = new URL(`http://${request.url}`);
    const target = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.write(head);
      target.pipe(socket).pipe(target);
    });
    target.on('error', () => socket.destroy());
    socket.on('error', () => target.destroy());
  });
  return { ...(await listening(server, secure ? 'https' : 'http')), asked };
}

test('through a proxy, which gets the checked address and never the name', async () => {
  await using proxy = await serveProxy();
  await using plain = await serve((request, response) => json(response, { host: request.headers.host }));
  await using server = await serve((request, response) => json(response, { host: request.headers.host }), identity);
  const egress = createEgress({ allow: ['127.0.0.0/8'] }, async () => [{ address: '127.0.0.1', family: 4 }]);
  await using net = client(egress);
  const options = { proxy: proxy.url.replace('http://', 'http://us%3Ar:p%40w@') };
  for (const { port, url } of [plain, server]) {
    const named = url.replace('127.0.0.1', 'localhost');
    const { body } = await net.request({ url: named, tls, options });
    assert.deepEqual(body, { host: `localhost:${port}` });
    const auth = `Basic ${Buffer.from('us:r:p@w').toString('base64')}`;
    assert.deepEqual(proxy.asked.at(-1), { target: `127.0.0.1:${port}`, auth });
  }
  assert.equal(proxy.asked.length, 2);
  const { requests } = plain;
  assert.equal(requests[0]?.headers['proxy-authorization'], undefined, 'its password is not for the server');
  await failsWith(
    'CONNECTION_FAILED',
    net.request({ url: plain.url, options: { proxy: proxy.url.replace('http://', 'http://no@') } }),
    false,
  );
});

test('a proxy that is gone, or no proxy, fails as a connection', async () => {
  await using net = client();
  await using server = await serve((_, response) => json(response, {}));
  await failsWith(
    'CONNECTION_FAILED',
    net.request({ url: server.url, options: { proxy: 'http://127.0.0.1:1' } }),
    true,
  );
  await failsWith('CONNECTION_FAILED', net.request({ url: server.url, options: { proxy: server.url } }));
  const { HTTP_PROXY } = process.env;
  process.env.HTTP_PROXY = 'http://127.0.0.1:1';
  try {
    assert.equal((await net.request({ url: server.url })).status, 200, 'the environment is not looked at');
  } finally {
    if (HTTP_PROXY === undefined) delete process.env.HTTP_PROXY;
    else process.env.HTTP_PROXY = HTTP_PROXY;
  }
});

test('a TLS session that was resumed is one with the same authority', async () => {
  await using server = await serve((_, response) => json(response, {}, 200, { connection: 'close' }), identity);
  await using net = client(loopback());
  for (let count = 0; count < 3; count += 1) assert.equal((await net.request({ url: server.url, tls })).status, 200);
  await failsWith('TLS_FAILED', net.request({ url: server.url }), false);
});
