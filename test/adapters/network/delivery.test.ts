import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { JSONFlowError, StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { client, failsWith, json, listening, serve, stepContext } from './support.ts';

const quick = { base_ms: 0, jitter: false };

test('attempts are tries after the first; the last answer decides', async () => {
  await using server = await serve((_, response) => json(response, {}, 503));
  await using net = client();
  await failsWith('HTTP_STATUS', net.request({ url: server.url, options: { retry: { attempts: 2, ...quick } } }), true);
  assert.equal(server.requests.length, 3);
  await failsWith('HTTP_STATUS', net.request({ url: server.url }), true);
  assert.equal(server.requests.length, 4, 'without retry there is one try');
  const output = await net.request({
    url: server.url,
    expect: { status: 503 },
    options: { retry: { attempts: 1, ...quick } },
  });
  assert.equal(output.status, 503);
  assert.equal(server.requests.length, 6);
  await failsWith(
    'HTTP_STATUS',
    net.request({ url: server.url, options: { retry: { attempts: 5, statuses: [500], ...quick } } }),
  );
  assert.equal(server.requests.length, 7, 'another status is not tried again');
});

test('a request that may have taken effect is repeated only with a key, or where the method allows it', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/status') json(response, {}, 503);
    else request.socket.destroy();
  });
  await using net = client();
  const tries = async (
    method: string,
    path: string,
    options: JSONObject,
    headers: JSONObject = {},
  ): Promise<number> => {
    const before = server.requests.length;
    const url = server.url + path;
    const retry = { attempts: 2, ...quick };
    const repeats = await net
      .request({ url, method, headers, options: { ...options, retry } })
      .catch((thrown: unknown) => thrown);
    assert.ok(repeats instanceof StepError);
    const count = server.requests.length - before;
    assert.equal(repeats.retryable, count > 1, 'the engine is told the same');
    return count;
  };
  for (const path of ['/status', '/dies']) {
    for (const method of ['GET', 'PUT', 'DELETE']) assert.equal(await tries(method, path, {}), 3, method);
    for (const method of ['POST', 'PATCH']) {
      assert.equal(await tries(method, path, {}), 3, method);
      assert.equal(await tries(method, path, { idempotency_key: false }), 1, method);
      assert.equal(await tries(method, path, { idempotency_key: false }, { 'Idempotency-Key': 'mine' }), 3, method);
      assert.equal(await tries(method, path, { idempotency_key: 'x-key' }), 3, method);
    }
    assert.equal(await tries('MERGE', path, {}), 1);
    assert.equal(await tries('MERGE', path, { idempotency_key: true }), 3);
  }
});

test('what was certainly not sent is tried again, whatever the method', async () => {
  const server = createServer();
  const { port } = await listening(server as never, 'http');
  server.close();
  await using net = client();
  const error = await net
    .request({
      url: `http://127.0.0.1:${port}`,
      method: 'POST',
      options: { idempotency_key: false, retry: { attempts: 2, ...quick } },
    })
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof StepError && error.code === 'CONNECTION_FAILED' && error.retryable);
});

test('Retry-After is waited for, unless it takes too long', async () => {
  let after = '0';
  await using server = await serve((_, response) => json(response, {}, 429, { 'retry-after': after }));
  await using net = client();
  const tries = async (retry: JSONObject, timeout = 30_000): Promise<number> => {
    const before = server.requests.length;
    await failsWith(
      'HTTP_STATUS',
      net.request({ url: server.url, options: { timeout, retry: { attempts: 1, ...quick, ...retry } } }),
      true,
    );
    return server.requests.length - before;
  };
  assert.equal(await tries({}), 2);
  after = '1';
  const start = performance.now();
  assert.equal(await tries({}), 2);
  assert.ok(performance.now() - start >= 999, 'not before the server said');
  after = '61';
  assert.equal(await tries({}), 1, 'longer than retry_after_max_ms');
  assert.equal(await tries({ retry_after_max_ms: 100_000 }), 1, 'longer than the step');
  after = new Date(Date.now() - 5000).toUTCString();
  assert.equal(await tries({}), 2);
  after = new Date(Date.now() + 3_600_000).toUTCString();
  assert.equal(await tries({}), 1);
  after = 'soon';
  assert.equal(await tries({}), 2);
});

test('redirects change the method as they should, and resend the body where they say so', async () => {
  await using server = await serve((request, response, body) => {
    const [, status] = /^\/(\d+)$/.exec(request.url ?? '') ?? [];
    if (status !== undefined) response.writeHead(Number(status), { location: '/end?x=1' }).end();
    else
      json(response, { method: request.method, body: body.toString(), type: request.headers['content-type'] ?? null });
  });
  await using net = client();
  const go = async (status: number, method: string): Promise<unknown> => {
    const { body, redirects, url } = await net.request({ url: `${server.url}/${status}`, method, body: { a: 1 } });
    assert.equal(redirects, 1);
    assert.equal(url, `${server.url}/end?x=1`);
    return body;
  };
  const kept = (method: string) => ({ method, body: '{"a":1}', type: 'application/json' });
  const got = { method: 'GET', body: '', type: null };
  for (const status of [301, 302, 303]) assert.deepEqual(await go(status, 'POST'), got);
  for (const status of [301, 302]) assert.deepEqual(await go(status, 'PUT'), kept('PUT'));
  assert.deepEqual(await go(303, 'PUT'), got);
  for (const status of [307, 308]) assert.deepEqual(await go(status, 'POST'), kept('POST'));
  const output = await net.request({
    url: `${server.url}/302`,
    expect: { status: 302 },
    options: { max_redirects: 0 },
  });
  assert.equal((output.headers as JSONObject).location, '/end?x=1');
});

test('endless redirects end', async () => {
  await using server = await serve((_, response) => response.writeHead(302, { location: '/again' }).end());
  await using net = client();
  await failsWith('TOO_MANY_REDIRECTS', net.request({ url: server.url }), false);
  assert.equal(server.requests.length, 6);
  await failsWith('TOO_MANY_REDIRECTS', net.request({ url: server.url, options: { max_redirects: 1 } }));
  assert.equal(server.requests.length, 8);
});

test('credentials stay with the origin that they were meant for', async () => {
  await using other = await serve((_, response) => json(response, {}));
  await using server = await serve((request, response) => {
    const status = request.method === 'POST' ? 307 : 302;
    response.writeHead(status, { location: request.url === '/same' ? '/there' : `${other.url}/there` }).end();
  });
  await using net = client();
  const headers = {
    Authorization: 'hunter2',
    Cookie: 'hunter2',
    'X-Api-Key': 'hunter2',
    Accept: 'text/plain',
    'User-Agent': 'me',
  };
  await net.request({ url: `${server.url}/other`, headers, tls: {} });
  const seen = other.requests[0] ?? assert.fail();
  assert.doesNotMatch(JSON.stringify(seen.headers), /hunter2/);
  assert.equal(seen.headers.accept, 'text/plain');
  assert.equal(seen.headers['user-agent'], 'me');
  // A 307 sends the body again, but no secret of the vault in it.
  await net.request({ url: `${server.url}/other`, method: 'POST', body: { plain: 1 } });
  assert.equal(other.requests[1]?.body.toString(), '{"plain":1}');
  const context = stepContext({ redact: (text) => text.replaceAll('hunter2', 'vault://key') });
  await failsWith(
    'EGRESS_DENIED',
    net.request({ url: `${server.url}/other`, method: 'POST', body: { key: 'hunter2' } }, context),
    false,
  );
  assert.equal(other.requests.length, 2);
  // Even a header that looks harmless goes nowhere else with a secret in it.
  await net.request({ url: `${server.url}/other`, headers: { Accept: 'hunter2' } }, context);
  assert.equal(other.requests[2]?.headers.accept, undefined);
});

test('the time-out is a hard one: for names, connections, headers, drips, redirects and retries', async () => {
  const drip = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    const timer = setInterval(() => response.write('x'), 10);
    response.on('close', () => clearInterval(timer));
  };
  await using server = await serve((request, response) => {
    if (request.url === '/drip') drip(response);
    if (request.url === '/redirect') setTimeout(() => response.writeHead(302, { location: '/redirect' }).end(), 20);
    if (request.url === '/retry') json(response, {}, 503);
    if (request.url === '/half') response.writeHead(200, { 'content-length': '100' }).write('half');
  });
  await using net = client();
  const options = {
    timeout: 200,
    max_redirects: 20,
    retry: { attempts: 20, base_ms: 50, backoff: 'fixed', jitter: false },
  };
  for (const path of ['/headers', '/drip', '/redirect', '/retry', '/half'])
    await failsWith('NETWORK_TIMEOUT', net.request({ url: server.url + path, options }), true);
  const hanging = client({
    addresses: () => new Promise(() => undefined),
    lookup: () => () => undefined,
    checkPath: () => undefined,
  });
  await failsWith('NETWORK_TIMEOUT', hanging.request({ url: 'http://name.example/', options }), true);
  await failsWith('NETWORK_TIMEOUT', hanging.request({ url: 'http://8.8.8.8/', options }), true);
  await hanging[Symbol.asyncDispose]();
});

test('a try has its own time-out, and the next one may be faster', async () => {
  let count = 0;
  await using server = await serve((_, response) => {
    count += 1;
    if (count === 3) json(response, { count });
  });
  await using net = client();
  const { body } = await net.request({
    url: server.url,
    options: { try_timeout: 100, retry: { attempts: 3, ...quick } },
  });
  assert.deepEqual(body, { count: 3 });
});

test('a cancelled step stops at once, closes its connection and begins nothing more', async () => {
  const { promise: arrived, resolve } = Promise.withResolvers<void>();
  const { promise: gone, resolve: hangUp } = Promise.withResolvers<void>();
  await using server = await serve((_, response) => {
    response.writeHead(200).write('a');
    response.on('close', () => hangUp());
    resolve();
  });
  await using net = client();
  const stop = new AbortController();
  const reason = new StepError('STEP_CANCELLED', 'cancelled');
  const step = net.request(
    { url: server.url, options: { retry: { attempts: 5, ...quick } } },
    stepContext({}, stop.signal),
  );
  await arrived;
  stop.abort(reason);
  await assert.rejects(step, (thrown) => thrown === reason);
  await gone;
  assert.equal(server.requests.length, 1);
});

test('a server that dies while it answers fails the step, and is asked again where that may help', async () => {
  let count = 0;
  await using server = await serve((_, response) => {
    count += 1;
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '10' });
    if (count % 3 === 0) response.end('0123456789');
    else response.write('01234', () => response.socket?.destroy());
  });
  await using net = client();
  await failsWith('CONNECTION_FAILED', net.request({ url: server.url }), true);
  const { body } = await net.request({ url: server.url, options: { retry: { attempts: 2, ...quick } } });
  assert.equal(body, '0123456789');
});

test('what is no HTTP is said to be none', async () => {
  for (const answer of [
    'SSH-2.0-OpenSSH_9.2\r\n',
    'HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: x\r\n\r\n',
    `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`,
  ]) {
    const raw = createServer((socket) => socket.end(answer));
    await using server = await listening(raw as never, 'http');
    await using net = client();
    await failsWith('RESPONSE_INVALID', net.request({ url: server.url }), false);
  }
});

test('a storm of steps shares a bounded number of connections', async () => {
  let open = 0;
  let most = 0;
  await using server = await serve((_, response) => {
    open = Math.max(open, server.sockets.size);
    most = Math.max(most, server.sockets.size);
    setImmediate(() => json(response, {}));
  });
  await using net = client(undefined, { connectionsPerOriginMax: 8 });
  const outputs = await Promise.all(
    Array.from({ length: 200 }, (_, index) => net.request({ url: `${server.url}/${index}` })),
  );
  assert.ok(outputs.every(({ status }) => status === 200));
  assert.equal(server.requests.length, 200);
  assert.ok(most <= 8, `${most} connections`);
});

test('tenants never share a connection', async () => {
  await using server = await serve((request, response) => json(response, { port: request.socket.remotePort }));
  await using net = client();
  const ports = async (tenant_id: string | null): Promise<Set<unknown>> => {
    const used = new Set<unknown>();
    for (let count = 0; count < 5; count += 1)
      used.add(((await net.request({ url: server.url }, stepContext({ tenant_id }))).body as JSONObject).port);
    return used;
  };
  const [operator, a, b] = [await ports(null), await ports('a'), await ports('b')];
  assert.ok(operator.size < 5 && a.size < 5, 'connections are used again');
  assert.equal(new Set([...operator, ...a, ...b]).size, operator.size + a.size + b.size);
});

test('closing ends idle connections and what still runs', async () => {
  const { promise: arrived, resolve } = Promise.withResolvers<void>();
  await using server = await serve((request, response) => (request.url === '/hang' ? resolve() : json(response, {})));
  const net = client();
  await net.request({ url: server.url });
  const hanging = net.request({ url: `${server.url}/hang` });
  await arrived;
  const closed = net.http.close();
  await failsWith('CONNECTION_FAILED', hanging, true);
  await closed;
  await failsWith('STEP_CANCELLED', net.request({ url: server.url }));
});

test('a body that can not be read any more fails as that, and is not tried again', async () => {
  await using server = await serve((_, response) => json(response, {}));
  await using net = client();
  const gone = { stored: 'bytes', bytes: 10, chunks: [{ digest: 'f'.repeat(64), bytes: 10 }] };
  await assert.rejects(
    net.request({ url: server.url, method: 'PUT', body: gone, options: { retry: { attempts: 3, ...quick } } }),
    (thrown) => thrown instanceof JSONFlowError && thrown.code === 'NOT_FOUND',
  );
  assert.equal(server.requests.length, 0);
});

test('a server that answers before it has read a large body is heard', async () => {
  const { createServer: createHttpServer } = await import('node:http');
  const http = createHttpServer((_, response) => {
    response.writeHead(413, { connection: 'close' }).end('too large');
  });
  await using server = await listening(http, 'http');
  await using net = client();
  const error = await net
    .request({ url: server.url, method: 'PUT', body: 'x'.repeat(20_000_000) })
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof StepError && ['HTTP_STATUS', 'CONNECTION_FAILED'].includes(error.code), String(error));
});
