// Errors of connections and answers say at which server, and what is probably meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNetworkAdapter } from '../../../src/adapters/network/adapter.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { failsWith, json, loopback, serve, stepContext } from './support.ts';

const failure = async (code: string, type: string, params: JSONObject, retryable = false): Promise<string> => {
  const adapter = createNetworkAdapter({ egress: loopback() });
  try {
    return await failsWith(code, Promise.resolve(adapter.execute({ id: 's', type, params }, stepContext())), retryable);
  } finally {
    await adapter.close?.();
  }
};

test('a status without a GraphQL response names the origin, and not the path', async () => {
  await using server = await serve((_, response) =>
    response.writeHead(404, { 'content-type': 'text/html' }).end('<p>'),
  );
  const message = await failure('HTTP_STATUS', 'network_graphql', { url: `${server.url}/secret-path`, query: '{ a }' });
  assert.ok(message.startsWith(`${server.url} answered with status 404`), message);
  assert.doesNotMatch(message, /secret-path/);
});

test('TLS on a port for plain text is told from a certificate that is not trusted', async () => {
  await using server = await serve((_, response) => json(response, {}));
  const at = `127.0.0.1:${server.port}`;
  for (const [type, params] of [
    ['network_request', { url: `https://${at}` }],
    ['network_graphql', { url: `https://${at}`, query: '{ a }' }],
    ['network_websocket', { url: `wss://${at}` }],
  ] as const) {
    const message = await failure('TLS_FAILED', type, params);
    assert.match(message, /speaks no TLS/, type);
    assert.ok(message.includes(at), message);
  }
});

test('gRPC tells a server of HTTP/1 from one that is not there', async () => {
  await using server = await serve((_, response) => json(response, {}));
  const at = `127.0.0.1:${server.port}`;
  const proto = 'syntax = "proto3"; package a; message M {} service B { rpc C (M) returns (M); }';
  const call = { service: 'a.B', method: 'C', proto };
  const plain = await failure('CONNECTION_FAILED', 'network_grpc', { url: `grpc://${at}`, ...call }, true);
  assert.match(plain, /speaks no HTTP\/2/);
  assert.ok(plain.includes(at), plain);
  assert.match(await failure('TLS_FAILED', 'network_grpc', { url: `grpcs://${at}`, ...call }), /speaks no TLS/);
});
