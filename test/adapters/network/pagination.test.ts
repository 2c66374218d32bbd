import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { JSONObject } from '../../../src/lib/json.ts';
import { client, failsWith, json, serve, stepContext, storedBytes } from './support.ts';

/** 25 items, 10 on a page, by every way of asking for them. */
function pages(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://server');
  const at = (name: string, otherwise: number): number => Number(searchParams.get(name) ?? otherwise);
  const from =
    pathname === '/page' ? (at('page', 1) - 1) * 10 : pathname === '/cursor' ? at('after', 0) : at('offset', 0);
  const items = Array.from({ length: Math.max(0, Math.min(10, 25 - from)) }, (_, index) => ({ id: from + index }));
  const next = from + 10 < 25 ? from + 10 : null;
  const link =
    next === null
      ? {}
      : { link: `<https://other.example/?x=",">; rel="last", </link?offset=${next}>; rel="prev next"` };
  json(
    response,
    pathname === '/page'
      ? items
      : { data: { items }, meta: { cursor: next, next: next === null ? null : `/url?offset=${next}` } },
    200,
    pathname === '/link' ? (link as Record<string, string>) : {},
  );
}

const ids = (output: JSONObject): unknown => (output.result as { id: number }[]).map(({ id }) => id);
const all = Array.from({ length: 25 }, (_, index) => index);

test('pages are followed by link, URL, cursor, number and offset', async () => {
  await using server = await serve(pages);
  await using net = client();
  const items = 'data.items';
  const ways: [string, JSONObject, number][] = [
    ['/link', { next: { link: 'next' }, items }, 3],
    ['/url', { next: { url: 'meta.next' }, items }, 3],
    ['/cursor', { next: { cursor: 'meta.cursor', param: 'after' }, items }, 3],
    ['/page', { next: { page: 'page' } }, 4],
    ['/offset', { next: { offset: 'offset' }, items }, 4],
  ];
  for (const [path, pagination, count] of ways) {
    const output = await net.request({ url: server.url + path, query: { fixed: 1 }, pagination });
    assert.deepEqual(ids(output), all, path);
    assert.deepEqual([output.pages, output.item_count, output.complete, output.status], [count, 25, true, 200]);
    assert.deepEqual(output.body, output.result);
  }
});

test('it ends at max_pages and max_items, and says that there is more', async () => {
  await using server = await serve(pages);
  await using net = client();
  const next = { page: 'page', start: 1 };
  const two = await net.request({ url: `${server.url}/page`, pagination: { next, max_pages: 2 } });
  assert.deepEqual([two.pages, two.item_count, two.complete], [2, 20, false]);
  const some = await net.request({ url: `${server.url}/page`, pagination: { next, max_items: 13 } });
  assert.deepEqual([ids(some), some.complete], [all.slice(0, 13), false]);
});

test('circles, missing lists and bad links are errors', async () => {
  let page: JSONObject = {};
  await using server = await serve((_, response) => json(response, page));
  await using net = client();
  const go = (next: JSONObject) => net.request({ url: server.url, pagination: { next, items: 'items' } });
  await failsWith('RESPONSE_INVALID', go({ page: 'p' }), false);
  page = { items: [1], next: '/same', cursor: 'c' };
  await failsWith('RESPONSE_INVALID', go({ url: 'next' }), false);
  await failsWith('RESPONSE_INVALID', go({ cursor: 'cursor' }), false);
  for (const bad of ['file:///etc/passwd', 'http://u:p@127.0.0.1/', 'http://127.0.0.1\\@x/', 5, {}]) {
    page = { items: [1], next: bad };
    await failsWith('RESPONSE_INVALID', go({ url: 'next' }), false);
  }
  page = { items: [1], next: 'http://169.254.169.254/latest' };
  await failsWith('EGRESS_DENIED', go({ url: 'next' }), false);
});

test('the next page on another origin gets no credentials, and each page its own idempotency key', async () => {
  await using other = await serve((_, response) => json(response, { items: [2] }));
  await using server = await serve((request, response) =>
    json(response, request.url === '/' ? { items: [0], next: '/more' } : { items: [1], next: other.url }),
  );
  await using net = client();
  const output = await net.request({
    url: server.url,
    method: 'POST',
    body: { q: 1 },
    headers: { 'x-key': 'hunter2' },
    auth: { bearer: 'hunter2' },
    pagination: { next: { url: 'next' }, items: 'items' },
  });
  assert.deepEqual(output.result, [0, 1, 2]);
  assert.ok(
    server.requests.every(
      ({ headers }) => headers.authorization === 'Bearer hunter2' && headers['x-key'] === 'hunter2',
    ),
  );
  assert.doesNotMatch(JSON.stringify(other.requests), /hunter2/);
  const keys = [...server.requests, ...other.requests].map(({ headers }) => headers['idempotency-key']);
  assert.deepEqual(keys, ['compliance/step', 'compliance/step/1', 'compliance/step/2']);
});

test('many items go to the blob store', async () => {
  await using server = await serve((request, response) => {
    const page = Number(new URL(request.url ?? '', 'http://server').searchParams.get('page'));
    json(response, page > 12 ? [] : Array.from({ length: 1000 }, (_, index) => ({ id: (page - 1) * 1000 + index })));
  });
  await using net = client();
  const context = stepContext();
  const output = await net.request({ url: server.url, pagination: { next: { page: 'page' } } }, context);
  assert.equal(output.item_count, 12_000);
  const lines = (await storedBytes(output.result, context)).toString().trim().split('\n');
  assert.deepEqual([lines.length, lines[0], lines.at(-1)], [12_000, '{"id":0}', '{"id":11999}']);
});

test('one time-out is for all pages, and expectations for each', async () => {
  await using server = await serve((_, response) => setTimeout(() => json(response, [{ a: 1 }]), 30));
  await using net = client();
  const pagination = { next: { page: 'page' } };
  await failsWith('NETWORK_TIMEOUT', net.request({ url: server.url, pagination, options: { timeout: 200 } }), true);
  const expect = { schema: { items: { required: ['b'] } } };
  await failsWith('EXPECTATION_FAILED', net.request({ url: server.url, pagination, expect }), false);
});
