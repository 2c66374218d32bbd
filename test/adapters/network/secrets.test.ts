import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { createNetworkAdapter } from '../../../src/adapters/network/adapter.ts';
import { DistributedEngine } from '../../../src/compose/distributed-engine.ts';
import { encodeBundle } from '../../../src/core/receipt/bundle.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { environmentVault } from '../../../src/vault/environment.ts';
import { listening, loopback, serve } from './support.ts';

const secret = 'c4nary-S3cret/plus+and=more';
const forms = [
  secret,
  JSON.stringify(secret).slice(1, -1),
  Buffer.from(secret).toString('base64'),
  Buffer.from(secret).toString('base64url'),
  Buffer.from(secret).toString('hex'),
  encodeURIComponent(secret),
];
const vaulted = { headers: { 'X-Key': 'vault://canary' }, query: { key: 'vault://canary' } };

/** Gives back what it gets, in every place where a server can. */
async function parrot() {
  return serve((request, response, body) => {
    const key = String(request.headers['x-key'] ?? request.headers.authorization ?? secret);
    const url = request.url ?? '';
    response.statusMessage = key;
    response.setHeader('x-echo', key);
    response.setHeader('set-cookie', [`session=${key}`]);
    const all = { key, url, body: body.toString(), hex: Buffer.from(key).toString('hex') };
    if (url.startsWith('/redirect'))
      return response.writeHead(302, { location: `/end/${encodeURIComponent(key)}?${key}` }).end();
    if (url.startsWith('/away'))
      return response.writeHead(302, { location: `http://${Buffer.from(key).toString('hex')}.invalid/${key}` }).end();
    if (url.startsWith('/scheme'))
      return response.writeHead(302, { location: `x${Buffer.from(key).toString('hex')}://x` }).end();
    if (url.startsWith('/fail')) return response.writeHead(500, key, { 'content-type': 'text/plain' }).end(key);
    if (url.startsWith('/broken'))
      return response.writeHead(200, { 'content-type': 'application/json' }).end(`{"${key}": ${key}`);
    if (url.startsWith('/raw'))
      return response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.from(`\u0000${key}`));
    if (url.startsWith('/large'))
      return response.writeHead(200, { 'content-type': 'text/plain' }).end(`${key}\n`.repeat(100_000));
    if (url.startsWith('/rows'))
      return response
        .writeHead(200, { 'content-type': 'application/x-ndjson' })
        .end(`${JSON.stringify(all)}\n`.repeat(20_000));
    if (url.startsWith('/die')) return request.socket.destroy();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...all, [key]: 1 }));
  });
}

test('a secret is sent where a step says so, and nothing that comes back shows it', async () => {
  await using server = await parrot();
  const wsHttp = createServer();
  new WebSocketServer({ server: wsHttp }).on('connection', (socket, request) => {
    socket.send(`${request.headers['x-key']}`);
    socket.on('message', (data) => socket.send(JSON.stringify({ [String(data)]: String(data) })));
  });
  await using ws = await listening(wsHttp, 'ws');
  const dataDir = await mkdtemp(join(tmpdir(), 'jsonflow-network-'));
  const engine = new DistributedEngine({
    dataDir,
    capabilities: { adapters: ['transform'] },
    adapters: [createNetworkAdapter({ egress: loopback() })],
    vault: environmentVault({ JSONFLOW_VAULT_CANARY: secret }),
  });
  const seen: string[] = [];
  for (const name of ['step:completed', 'step:failed', 'workflow:completed', 'workflow:failed'] as const)
    engine.on(name, (event: unknown) => void seen.push(JSON.stringify(event)));
  const url = (path: string): string => `${server.url}/${path}`;
  const steps: Record<string, { type: string; params: JSONObject; fails?: boolean }> = {
    echo: {
      type: 'network_request',
      params: { url: url('echo'), ...vaulted, method: 'POST', body: { a: 'vault://canary' } },
    },
    form: {
      type: 'network_request',
      params: { url: url('form'), method: 'POST', form: { a: 'vault://canary' }, auth: { bearer: 'vault://canary' } },
    },
    basic: {
      type: 'network_request',
      params: { url: url('basic'), auth: { basic: { username: 'user', password: 'vault://canary' } } },
    },
    redirect: { type: 'network_request', params: { url: url('redirect'), ...vaulted } },
    away: { type: 'network_request', params: { url: url('away'), ...vaulted }, fails: true },
    scheme: { type: 'network_request', params: { url: url('scheme'), ...vaulted }, fails: true },
    fail: { type: 'network_request', params: { url: url('fail'), ...vaulted }, fails: true },
    broken: { type: 'network_request', params: { url: url('broken'), ...vaulted }, fails: true },
    raw: { type: 'network_request', params: { url: url('raw'), ...vaulted } },
    large: { type: 'network_request', params: { url: url('large'), ...vaulted } },
    rows: { type: 'network_request', params: { url: url('rows'), ...vaulted } },
    die: { type: 'network_request', params: { url: url('die'), ...vaulted }, fails: true },
    socket: {
      type: 'network_websocket',
      params: { url: ws.url, ...vaulted, send: ['vault://canary'], collect: { count: 2 } },
    },
    malformed: { type: 'network_request', params: { url: 'vault://canary' }, fails: true },
    schema: {
      type: 'network_request',
      params: { url: url('schema'), ...vaulted, expect: { schema: { additionalProperties: false } } },
      fails: true,
    },
  };
  try {
    await engine.start();
    for (const [workflow, { fails, ...step }] of Object.entries(steps)) {
      const { run_id } = await engine.api.submit({ workflow: { workflow, steps: [{ id: workflow, ...step }] } });
      for await (const event of engine.api.events(run_id)) seen.push(JSON.stringify(event));
      const result = await engine.api.wait(run_id);
      seen.push(JSON.stringify(result));
      assert.equal(result.status, fails === true ? 'failed' : 'completed', `${workflow}: ${JSON.stringify(result)}`);
      const bundle = await engine.api.bundle(run_id);
      seen.push(encodeBundle(bundle));
      for (const { payload } of [...bundle.receipts, bundle.run_statement])
        seen.push(Buffer.from(payload, 'base64').toString());
    }
  } finally {
    await engine.close();
  }
  const arrived = JSON.stringify(
    server.requests.map(({ headers, url: path, body }) => [headers, path, body.toString()]),
  );
  for (const form of [secret, encodeURIComponent(secret)]) assert.ok(arrived.includes(form), 'it was sent');
  const everything = seen.join('\n');
  assert.ok(everything.includes('vault://canary'));
  for (const form of forms) assert.ok(!everything.includes(form), `an answer holds ${form}`);
  for (const file of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const bytes = await readFile(join(file.parentPath, file.name));
    for (const form of forms) assert.ok(!bytes.includes(form), `${file.name} holds ${form}`);
  }
  await rm(dataDir, { recursive: true });
});
