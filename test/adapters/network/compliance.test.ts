import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { loadPackageDefinition, Server, ServerCredentials } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { WebSocketServer } from 'ws';
import { createNetworkAdapter } from '../../../src/adapters/network/adapter.ts';
import { adapterCompliance } from '../../compliance/adapter.ts';
import { json, listening, loopback, serve } from './support.ts';

const http = await serve((request, response) => {
  if (request.url === '/hang') return;
  json(response, { data: { hello: 'world', list: [1, 'two'] } });
});
const wsServer = createServer();
new WebSocketServer({ server: wsServer }).on('connection', (socket) =>
  socket.on('message', (data) => socket.send(String(data))),
);
const ws = await listening(wsServer, 'ws');

const proto = `syntax = "proto3";
package compliance;
service Echo { rpc Say (Text) returns (Text); rpc Hang (Text) returns (Text); }
message Text { string text = 1; }`;

async function serveGrpc() {
  const dir = mkdtempSync(join(tmpdir(), 'jsonflow-proto-'));
  writeFileSync(join(dir, 'echo.proto'), proto);
  const definition = loadPackageDefinition(loadSync(join(dir, 'echo.proto'))) as never as {
    compliance: { Echo: { service: never } };
  };
  rmSync(dir, { recursive: true });
  const server = new Server();
  server.addService(definition.compliance.Echo.service, {
    Say: (call: { request: unknown }, done: (error: null, answer: unknown) => void) => done(null, call.request),
    Hang: () => undefined,
  } as never);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { url: `grpc://127.0.0.1:${port}`, close: () => server.forceShutdown() };
}
const grpc = await serveGrpc();

after(async () => {
  grpc.close();
  await http[Symbol.asyncDispose]();
  await ws[Symbol.asyncDispose]();
});

adapterCompliance('network', () => createNetworkAdapter({ egress: loopback() }), [
  {
    type: 'network_request',
    params: { url: http.url, method: 'POST', body: { a: 1 } },
    badParams: { url: 'file:///etc/passwd' },
    endlessParams: { url: `${http.url}/hang`, options: { timeout: 86_400_000, retry: { attempts: 20 } } },
  },
  {
    type: 'network_request',
    params: { url: http.url, pagination: { next: { url: 'next' }, items: 'data.list' } },
    badParams: { url: http.url, options: { timeout: 0 } },
  },
  {
    type: 'network_graphql',
    params: { url: http.url, query: '{ hello }' },
    badParams: { url: http.url, query: '{ hello', unknown: 1 },
    endlessParams: { url: `${http.url}/hang`, query: '{ hello }' },
  },
  {
    type: 'network_grpc',
    params: { url: grpc.url, service: 'compliance.Echo', method: 'Say', message: { text: 'a' }, proto },
    badParams: { url: grpc.url, method: 1 },
    endlessParams: { url: grpc.url, service: 'compliance.Echo', method: 'Hang', proto },
  },
  {
    type: 'network_websocket',
    params: { url: ws.url, send: [{ a: 1 }], collect: { count: 1 } },
    badParams: { url: http.url },
    endlessParams: { url: ws.url, collect: {} },
  },
]);
