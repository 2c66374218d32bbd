import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { createNetworkAdapter } from '../../../src/adapters/network/adapter.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { json, listening, loopback, serve, stepContext } from './support.ts';

/** What api.example.com would answer. */
function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://server');
  if (pathname === '/v1/process') return json(response, { processed: JSON.parse(body.toString()).data.length });
  if (pathname === '/form') return void response.writeHead(200, { 'content-type': 'text/plain' }).end(body);
  if (pathname === '/upload') return json(response, { bytes: body.length });
  if (pathname === '/users/7') return json(response, { id: null }, 404);
  if (pathname === '/items') {
    const from = Number(searchParams.get('after') ?? 0);
    return json(response, {
      data: [1, 2, 3, 4, 5].slice(from, from + 2),
      meta: { next: from + 2 < 5 ? from + 2 : null },
    });
  }
  json(response, {}, 404);
}

/** Whether all that is expected is there, at any depth; lists as a whole. */
function holds(actual: JSONValue | undefined, expected: JSONValue): void {
  if (!isObject(expected)) return assert.deepEqual(actual, expected);
  assert.ok(isObject(actual));
  for (const [key, value] of Object.entries(expected)) holds(actual[key] as JSONValue, value as JSONValue);
}

test('the examples of docs/adapters/network.md give what they say', async () => {
  await using server = await serve(answer);
  const wsHttp = createServer();
  new WebSocketServer({ server: wsHttp }).on('connection', (socket) =>
    socket.on('message', () => {
      for (const state of ['running', 'done']) socket.send(JSON.stringify({ state }));
    }),
  );
  await using ws = await listening(wsHttp, 'ws');
  const page = await readFile(new URL('../../../docs/adapters/network.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(
    ([, text = '']) => JSON.parse(text) as JSONObject,
  );
  const registry = new AdapterRegistry();
  registry.register(createNetworkAdapter({ egress: loopback() }));
  let ran = 0;
  try {
    for (const [index, block] of blocks.entries()) {
      if (typeof block.type !== 'string') continue;
      const { type } = block;
      const url = String((block.params as JSONObject).url)
        .replace('https://api.example.com', server.url)
        .replace('wss://api.example.com', ws.url);
      const params = { ...(block.params as JSONObject), url };
      const output = await registry.run({ id: 'step', type, params }, stepContext());
      const expected = blocks[index + 1];
      if (expected !== undefined && expected.type === undefined) holds(output, expected);
      ran += 1;
    }
  } finally {
    await registry.close();
  }
  assert.ok(ran >= 6);
});
