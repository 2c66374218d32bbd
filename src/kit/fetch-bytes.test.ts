import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { createEgress } from '../egress/egress.ts';
import { fetchBytes } from './fetch-bytes.ts';

const server = createServer(({ url = '' }, response) => {
  if (url === '/latest') return response.writeHead(302, { location: '/tool@1.2.3/tool.wasm' }).end();
  if (url === '/round') return response.writeHead(302, { location: '/round' }).end();
  if (url === '/elsewhere') return response.writeHead(302, { location: 'ftp://127.0.0.1/tool' }).end();
  if (url === '/busy') return response.writeHead(503).end();
  if (url === '/tool@1.2.3/tool.wasm') return response.end('bytes');
  return response.writeHead(404).end();
});
let origin = '';

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => void server.close());

const fetched = (url: string, bytesMax = 100): Promise<Uint8Array> =>
  fetchBytes(url, {
    egress: createEgress({ allow: ['127.0.0.1'] }),
    reach: 'public',
    signal: new AbortController().signal,
    bytesMax,
    name: 'params.module',
  });

test('a file, also one with an @ in its path, as registries of packages have them', async () => {
  for (const path of ['/tool@1.2.3/tool.wasm', '/latest'])
    assert.equal(Buffer.from(await fetched(origin + path)).toString(), 'bytes', path);
});

test('what can not be fetched, or may not be, is told with what to do', async () => {
  const { host } = new URL(origin);
  for (const [url, code, retryable, says] of [
    [`${origin}/nothing`, 'FETCH_FAILED', false, /status 404/],
    [`${origin}/busy`, 'FETCH_FAILED', true, /status 503/],
    [`${origin}/round`, 'FETCH_FAILED', false, /more than 5 redirects/],
    [`${origin}/elsewhere`, 'INVALID_PARAMS', false, /http or https/],
    [`http://user:Canary77@${host}/`, 'INVALID_PARAMS', false, /user name or password/],
    ['tool.wasm', 'INVALID_PARAMS', false, /params\.module is not a URL/],
    ['http://10.0.0.1/tool.wasm', 'EGRESS_DENIED', false, /out of bounds/],
  ] as const)
    await assert.rejects(fetched(url), { code, retryable, message: says }, url);
  await assert.rejects(fetched(`${origin}/latest`, 4), { code: 'FETCH_TOO_LARGE', message: /more than the 4 bytes/ });
});
