import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import { productVersion } from '../../../src/protocol/version.ts';
import { client, failsWith, json, serve, stepContext, storedBytes } from './support.ts';

test('the request of the reference document works as it is written', async () => {
  let failures = 2;
  await using server = await serve((_, response, body) =>
    failures-- > 0 ? json(response, {}, 503) : json(response, { processed: JSON.parse(body.toString()).data.length }),
  );
  await using net = client();
  const output = await net.request({
    method: 'POST',
    url: `${server.url}/v1/process`,
    headers: { Authorization: 'token-of-the-vault', 'Content-Type': 'application/json' },
    body: { data: [1, 2, 3] },
    options: { timeout: 10000, retry: { attempts: 3, backoff: 'exponential' } },
  });
  assert.equal(output.status, 200);
  assert.deepEqual(output.body, { processed: 3 });
  assert.deepEqual(output.result, output.body);
  assert.equal(server.requests.length, 3);
  const [first, , third] = server.requests;
  assert.equal(first?.method, 'POST');
  assert.equal(first?.headers.authorization, 'token-of-the-vault');
  assert.equal(first?.headers['content-type'], 'application/json');
  assert.equal(first?.headers['user-agent'], `jsonflow/${productVersion}`);
  assert.equal(first?.headers['idempotency-key'], 'compliance/step');
  assert.equal(third?.headers['idempotency-key'], 'compliance/step', 'each try names the same step');
});

test('the output has status, headers in lower case, body, url and redirects, and nothing else', async () => {
  await using server = await serve((_, response) => {
    response.setHeader('Set-Cookie', ['a=1', 'b=2']);
    response.setHeader('X-One', ['1', '2']);
    json(response, [1, { two: null }], 201);
  });
  await using net = client();
  const output = await net.request({ url: `${server.url}/p?q=1#fragment` });
  assert.deepEqual(Object.keys(output).sort(), ['body', 'headers', 'redirects', 'result', 'status', 'url']);
  const headers = output.headers as JSONObject;
  assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
  assert.equal(headers['x-one'], '1, 2');
  assert.equal(output.url, `${server.url}/p?q=1`);
  assert.equal(output.status, 201);
  assert.equal(output.redirects, 0);
  assert.deepEqual(output.body, [1, { two: null }]);
});

test('bodies are sent in every form', async () => {
  await using server = await serve((_, response) => json(response, {}));
  await using net = client();
  const send = async (
    params: JSONObject,
  ): Promise<{ type: string | undefined; body: Buffer; length: string | undefined }> => {
    await net.request({ url: server.url, method: 'PUT', ...params });
    const { headers, body } = server.requests.at(-1) ?? assert.fail();
    return { type: headers['content-type'], body, length: headers['content-length'] };
  };
  const text = await send({ body: 'plain é' });
  assert.deepEqual([text.type, text.body.toString()], ['text/plain; charset=utf-8', 'plain é']);
  const list = await send({ body: [1, 'a'] });
  assert.deepEqual([list.type, list.body.toString()], ['application/json', '[1,"a"]']);
  for (const [body, sent] of [
    [0, '0'],
    [false, 'false'],
    [null, 'null'],
    [{}, '{}'],
  ] as [JSONValue, string][])
    assert.equal((await send({ body })).body.toString(), sent);
  const bytes = await send({ body: { $bytes: Buffer.from([0, 255, 1]).toString('base64') } });
  assert.deepEqual([bytes.type, [...bytes.body]], ['application/octet-stream', [0, 255, 1]]);
  const form = await send({ form: { a: 'x y&', b: [1, true], gone: null } });
  assert.deepEqual([form.type, form.body.toString()], ['application/x-www-form-urlencoded', 'a=x+y%26&b=1&b=true']);
  const own = await send({ body: '<a/>', headers: { 'Content-Type': 'application/xml' } });
  assert.deepEqual([own.type, own.body.toString()], ['application/xml', '<a/>']);
  const empty = await send({ body: '' });
  assert.equal(empty.body.length, 0);
});

test('stored data is sent as a stream with its length, alone and as a part', async () => {
  await using server = await serve((_, response) => json(response, {}));
  await using net = client();
  const context = stepContext();
  const pieces = ['{"a":1}\n{"a":2}\n', '{"a":3}\n'];
  const chunks = await Promise.all(
    pieces.map(async (piece) => ({
      digest: await context.blobs.put(Buffer.from(piece)),
      bytes: piece.length,
      rows: 1,
    })),
  );
  const stored = { stored: 'ndjson', bytes: pieces.join('').length, row_count: 3, chunks };
  await net.request({ url: server.url, method: 'POST', body: stored }, context);
  const whole = server.requests.at(-1) ?? assert.fail();
  assert.equal(whole.headers['content-type'], 'application/x-ndjson');
  assert.equal(whole.headers['content-length'], String(stored.bytes));
  assert.equal(whole.body.toString(), pieces.join(''));
  const multipart = [
    { name: 'note "1"', value: 'hé' },
    { name: 'meta', value: { a: 1 }, content_type: 'application/json' },
    { name: 'pic', bytes: { $bytes: 'AAEC' }, filename: 'a"b\r\n.png', content_type: 'image/png' },
    { name: 'rows', stored, filename: 'rows.ndjson' },
  ];
  await net.request({ url: server.url, method: 'POST', multipart }, context);
  const parts = server.requests.at(-1) ?? assert.fail();
  assert.equal(parts.headers['content-length'], String(parts.body.length));
  // Read back by another implementation than ours.
  const read = await new Response(new Uint8Array(parts.body), {
    headers: { 'content-type': String(parts.headers['content-type']) },
  }).formData();
  assert.deepEqual([...read.keys()], ['note "1"', 'meta', 'pic', 'rows']);
  assert.equal(read.get('note "1"'), 'hé');
  assert.equal(read.get('meta'), '{"a":1}');
  const pic = read.get('pic') as unknown as File;
  assert.deepEqual([pic.name, pic.type, [...(await pic.bytes())]], ['a"b\r\n.png', 'image/png', [0, 1, 2]]);
  const rows = read.get('rows') as unknown as File;
  assert.equal(await rows.text(), pieces.join(''));
});

test('bodies are read by their content type', async () => {
  let type: string | undefined;
  let content: Buffer | string = '';
  await using server = await serve((_, response) => {
    response.writeHead(200, type === undefined ? {} : { 'content-type': type }).end(content);
  });
  await using net = client();
  const read = async (contentType: string | undefined, sent: Buffer | string, options = {}): Promise<unknown> => {
    type = contentType;
    content = sent;
    return (await net.request({ url: server.url, options })).body;
  };
  assert.deepEqual(await read('application/json; charset=utf-8', '{"a":1}'), { a: 1 });
  assert.deepEqual(await read('application/problem+json', '\ufeff[1]'), [1]);
  assert.deepEqual(
    await read(
      'application/json',
      '{"id":12345678901234567890,"n":1.5,"big":1e300,"mid":1e20,"neg":-9007199254740993}',
    ),
    {
      id: '12345678901234567890',
      n: 1.5,
      big: '1e300',
      mid: '1e20',
      neg: '-9007199254740993',
    },
  );
  assert.equal(await read('text/html; charset=iso-8859-1', Buffer.from([0xe9])), 'é');
  assert.equal(await read('text/plain; charset=no-such', 'é'), 'é');
  assert.deepEqual(await read('image/png', Buffer.from([1, 2, 255])), { $bytes: 'AQL/' });
  assert.equal(await read(undefined, 'text'), 'text');
  assert.deepEqual(await read(undefined, Buffer.from([0, 1])), { $bytes: 'AAE=' });
  assert.deepEqual(await read('application/x-ndjson', '{"a":1}\n\n{"a":2}'), [{ a: 1 }, { a: 2 }]);
  for (const one of ['application/json', 'text/plain', 'image/png', 'application/x-ndjson', undefined])
    assert.equal(await read(one, ''), null, one);
  assert.equal(await read('application/json', '{"a":', { parse: 'text' }), '{"a":');
  assert.deepEqual(await read('text/plain', '{"a":1}', { parse: 'json' }), { a: 1 });
  assert.deepEqual(await read('text/plain', 'ab', { parse: 'bytes' }), { $bytes: 'YWI=' });
  await failsWith('RESPONSE_INVALID', read('application/json', '{"a":'), false);
  await failsWith('RESPONSE_INVALID', read('application/json', '['.repeat(50_000) + ']'.repeat(50_000)), false);
  const message = await failsWith('RESPONSE_INVALID', read('application/x-ndjson', '{"a":1}\n[2]\n'));
  assert.match(message, /line 2/);
});

test('responses are decompressed, and bombs stopped at the limit', async () => {
  const text = JSON.stringify({ text: 'a'.repeat(100_000) });
  let coding = '';
  let content = Buffer.alloc(0);
  await using server = await serve((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': coding });
    response.end(request.method === 'HEAD' ? undefined : content);
  });
  await using net = client();
  for (const [name, compressed] of [
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['deflate, gzip', gzipSync(deflateSync(text))],
    ['identity', Buffer.from(text)],
  ] as const) {
    coding = name;
    content = compressed;
    assert.deepEqual((await net.request({ url: server.url })).body, JSON.parse(text), name);
    assert.equal(server.requests.at(-1)?.headers['accept-encoding'], 'gzip, deflate, br, zstd');
    assert.equal((await net.request({ url: server.url, method: 'HEAD' })).body, null);
  }
  const bomb = Buffer.alloc(64 * 1024 * 1024);
  for (const [name, compressed] of [
    ['gzip', gzipSync(bomb)],
    ['br', brotliCompressSync(bomb, { params: {} })],
    ['zstd', zstdCompressSync(bomb)],
    ['gzip, gzip', gzipSync(gzipSync(bomb))],
  ] as const) {
    coding = name;
    content = compressed;
    await failsWith('RESPONSE_TOO_LARGE', net.request({ url: server.url, options: { max_bytes: 1_000_000 } }), false);
  }
  coding = 'gzip';
  content = Buffer.from('not gzip at all');
  await failsWith('RESPONSE_INVALID', net.request({ url: server.url }), false);
  content = gzipSync(text).subarray(0, 60);
  await failsWith('RESPONSE_INVALID', net.request({ url: server.url }));
  coding = 'rot13';
  await failsWith('RESPONSE_INVALID', net.request({ url: server.url }));
  coding = 'gzip, gzip, gzip, gzip';
  await failsWith('RESPONSE_INVALID', net.request({ url: server.url }));
});

test('large bodies go to the blob store in chunks, rows as rows', async () => {
  const line = (index: number): string => `{"index":${index},"text":"${'é'.repeat(50)}"}\n`;
  const lines = Array.from({ length: 60_000 }, (_, index) => line(index)).join('');
  let type = 'application/x-ndjson';
  let body: Buffer = Buffer.from(lines);
  await using server = await serve((_, response) => response.writeHead(200, { 'content-type': type }).end(body));
  await using net = client();
  const context = stepContext();
  const rows = await net.request({ url: server.url }, context);
  const stored = rows.body as JSONObject;
  assert.deepEqual([stored.stored, stored.row_count], ['ndjson', 60_000]);
  assert.ok((stored.chunks as JSONValue[]).length > 1);
  assert.equal((await storedBytes(rows.result, context)).toString(), lines);
  type = 'text/csv; charset=utf-16le';
  body = Buffer.from(lines, 'utf16le');
  const text = await net.request({ url: server.url }, context);
  assert.equal((text.body as JSONObject).media_type, 'text/csv');
  assert.equal((await storedBytes(text.body, context)).toString(), lines);
  type = 'application/octet-stream';
  body = Buffer.from(Uint8Array.from({ length: 9_000_001 }, (_, index) => (index * 7919) >> 3));
  const bytes = await net.request({ url: server.url }, context);
  assert.ok((await storedBytes(bytes.body, context)).equals(body));
  assert.equal(((bytes.body as JSONObject).chunks as JSONValue[]).length, 3);
  const inline = await net.request({ url: server.url, options: { max_inline_bytes: 9_000_001 } }, context);
  assert.ok(Buffer.from(String((inline.body as JSONObject).$bytes), 'base64').equals(body));
  await failsWith('RESPONSE_TOO_LARGE', net.request({ url: server.url, options: { max_bytes: 5_000_000 } }, context));
});

test('a secret is taken out of what is stored, also where it lies across chunks', async () => {
  const secret = 'the-secret-value';
  const pointer = 'vault://name';
  const chunk = 4 * 1024 * 1024;
  let type = 'text/plain';
  let body = Buffer.alloc(0);
  await using server = await serve((_, response) => response.writeHead(200, { 'content-type': type }).end(body));
  await using net = client();
  for (type of ['text/plain', 'application/octet-stream'])
    for (const at of [chunk - 5, chunk - 65_536 - 3, chunk - secret.length, chunk, 2 * chunk - 1]) {
      body = Buffer.alloc(2 * chunk + 100_000, type === 'text/plain' ? 'x' : 0xff);
      body.write(secret, at, 'latin1');
      const context = stepContext({ redact: (text) => text.replaceAll(secret, pointer) });
      const { body: stored } = await net.request({ url: server.url }, context);
      const read = (await storedBytes(stored, context)).toString('latin1');
      assert.ok(!read.includes(secret), `${type} at ${at}`);
      assert.equal(read.indexOf(pointer), at);
      assert.equal(read.length, body.length - secret.length + pointer.length);
    }
});

test('expectations: status, content type and schema', async () => {
  await using server = await serve((request, response) => {
    const status = Number(request.url?.slice(1, 4));
    json(response, { id: 'x', count: 3 }, status);
  });
  await using net = client();
  const get = (status: number, expect: JSONObject = {}, options: JSONObject = {}): Promise<JSONObject> =>
    net.request({ url: `${server.url}/${status}`, expect, options });
  for (const status of [400, 401, 404, 409, 501]) await failsWith('HTTP_STATUS', get(status), false);
  for (const status of [408, 425, 429, 500, 502, 503, 504]) await failsWith('HTTP_STATUS', get(status), true);
  assert.match(await failsWith('HTTP_STATUS', get(404)), /404 Not Found/);
  for (const status of [404, '404', '4xx', '400-499', 'any', [200, 404], ['2xx', '400-410']])
    assert.equal((await get(404, { status })).status, 404);
  await failsWith('HTTP_STATUS', get(200, { status: 204 }));
  assert.equal((await get(200, { content_type: 'application/json' })).status, 200);
  assert.equal((await get(200, { content_type: ['text/*', 'application/*'] })).status, 200);
  await failsWith('EXPECTATION_FAILED', get(200, { content_type: 'text/html' }), false);
  const schema = {
    type: 'object',
    properties: { id: { type: 'string', pattern: '^[a-z]$' } },
    required: ['id', 'count'],
  };
  assert.equal((await get(200, { schema })).status, 200);
  const message = await failsWith(
    'EXPECTATION_FAILED',
    get(200, { schema: { properties: { count: { maximum: 2 } } } }),
    false,
  );
  assert.match(message, /body\.count must be <= 2/);
  const before = server.requests.length;
  for (const bad of [
    { type: 'no-such' },
    { pattern: '(?=a)' },
    { $ref: 'http://127.0.0.1/x' },
    { uniqueItems: true },
    { $ref: '#' },
  ])
    await failsWith('INVALID_PARAMS', get(200, { schema: bad }));
  assert.equal(server.requests.length, before, 'nothing was sent');
  await failsWith('EXPECTATION_FAILED', get(200, { schema }, { max_inline_bytes: 3 }));
});

test('bad params are refused before anything is sent, without their values', async () => {
  await using server = await serve((_, response) => json(response, {}));
  await using net = client();
  const { url } = server;
  for (const params of [
    { headers: { 'x-a': 'hunter2\r\nx-b: 1' } },
    { headers: { 'x-a': 'hunter2\u0000' } },
    { headers: { 'x-a': 'hunter2 ☃' } },
    { headers: { 'x a': 'hunter2' } },
    { headers: { 'x\r\ny': 'hunter2' } },
    { headers: { ':path': 'hunter2' } },
    { headers: { Host: 'hunter2' } },
    { headers: { 'Content-Length': 'hunter2' } },
    { headers: { 'Transfer-Encoding': 'chunked' } },
    { headers: { connection: 'hunter2' } },
    { headers: { 'Proxy-Authorization': 'hunter2' } },
    { auth: { bearer: 'hunter2\n' } },
    { auth: { bearer: 'hunter2', basic: { username: 'a', password: 'hunter2' } } },
    { auth: { basic: { username: 'a:b', password: 'hunter2' } } },
    { auth: { bearer: 'hunter2' }, headers: { Authorization: 'hunter2' } },
    { tls: { cert: 'hunter2' } },
    { method: 'CONNECT' },
    { method: 'TRACE' },
    { method: 'GET / HTTP/1.1\r\n' },
    { body: 'hunter2', form: { a: 1 } },
    { body: { $bytes: 'hunter2!' } },
    { multipart: [{ name: 'a' }] },
    { multipart: [{ name: 'a', value: 'x', content_type: 'a\r\nb' }] },
    { options: { proxy: 'socks5://hunter2' } },
    { options: { idempotency_key: 'bad name' } },
    { url: `http://user:hunter2@127.0.0.1:${server.port}/` },
  ] as JSONObject[]) {
    const message = await failsWith('INVALID_PARAMS', net.request({ url, ...params }), false);
    assert.doesNotMatch(message, /hunter2/, JSON.stringify(params));
  }
  assert.equal(server.requests.length, 0);
});

test('auth, query and repeated headers are sent as they should be', async () => {
  await using server = await serve((_, response) => json(response, {}));
  await using net = client();
  await net.request({
    url: `${server.url}/a%20b?signed=%2F+x`,
    query: { q: 'ü &', list: [1, 'b'], none: null, yes: true },
    headers: { 'X-Many': ['1', '2'], 'x-number': 5, 'X-Blank': '  a  ' },
    auth: { basic: { username: 'jö', password: 'p:w' } },
  });
  const { url, headers } = server.requests[0] ?? assert.fail();
  assert.equal(url, '/a%20b?signed=%2F+x&q=%C3%BC+%26&list=1&list=b&yes=true');
  assert.equal(headers.authorization, `Basic ${Buffer.from('jö:p:w').toString('base64')}`);
  assert.equal(headers['x-many'], '1, 2');
  assert.equal(headers['x-number'], '5');
  assert.equal(headers['x-blank'], 'a');
  assert.equal(headers['idempotency-key'], undefined, 'a GET needs none');
  await net.request({ url: server.url, auth: { bearer: 't' }, options: { idempotency_key: 'X-Request-Key' } });
  const second = server.requests[1] ?? assert.fail();
  assert.equal(second.headers.authorization, 'Bearer t');
  assert.equal(second.headers['x-request-key'], 'compliance/step');
});
