import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { verifyBundle } from '../../src/core/receipt/verify.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { NodeProcess } from './processes.ts';

let folder = '';
let certificates: Certificates;
before(async () => {
  certificates = makeCertificates();
  folder = await mkdtemp(join(tmpdir(), 'jsonflow-mtls-'));
});
after(() => rm(folder, { recursive: true, force: true }));

it('a cluster over mutual TLS runs a workflow; who has no certificate of its authority stays outside', async () => {
  const { ca, server, worker, stranger } = certificates;
  const ledger = join(folder, 'ledger.txt');
  const common = { dataDir: false as const, token: 'join', ledger };
  const coordinator = new NodeProcess({
    ...common,
    nodeId: 'coordinator',
    port: 0,
    localSteps: 'never',
    tls: { cert: server.cert, key: server.key, ca: ca.cert },
    apiTokens: ['operator'],
  });
  const nodes = [coordinator];
  try {
    const { url = '', http = '' } = await coordinator.ready;
    assert.match(url, /^wss:/);
    const join = (nodeId: string, tls: { cert?: string; key?: string; ca: string }) => {
      const node = new NodeProcess({ ...common, nodeId, role: 'worker', connect: url, tls });
      nodes.push(node);
      return node;
    };
    await join('w-1', { cert: worker.cert, key: worker.key, ca: ca.cert }).ready;

    const get = (path: string, body?: object, identity: object = { cert: worker.cert, key: worker.key }) =>
      new Promise<Record<string, never>>((resolve, reject) => {
        const headers = { 'content-type': 'application/json', authorization: 'Bearer operator' };
        const method = body === undefined ? 'GET' : 'POST';
        const call = request(`${http}${path}`, { method, headers, ca: ca.cert, ...identity }, (response) => {
          let text = '';
          response.on('data', (chunk) => {
            text += chunk;
          });
          response.on('end', () => resolve(text.startsWith('{') ? JSON.parse(text) : { text }));
        });
        call.on('error', reject);
        call.end(body === undefined ? undefined : JSON.stringify(body));
      });
    const step = { id: 'a', type: 'ledger_write', params: { value: 41, add: [1] } };
    const { run_id } = await get('/api/v1/runs', { workflow: { workflow: 'tls', steps: [step] } });
    // The stream ends with the run.
    await get(`/api/v1/runs/${run_id}/events`);
    const result = await get(`/api/v1/runs/${run_id}`);
    assert.equal(result.status, 'completed');
    assert.deepEqual(result.outputs, { a: { result: 42 } });
    const trust = await get('/api/v1/keys');
    assert.ok(verifyBundle(await get(`/api/v1/runs/${run_id}/bundle`), { trust: trust as never }).pinned);

    await assert.rejects(get('/healthz', undefined, {}), 'a client without a certificate');
    await assert.rejects(get('/healthz', undefined, { cert: stranger.cert, key: stranger.key }));
    for (const tls of [{ ca: ca.cert }, { cert: stranger.cert, key: stranger.key, ca: ca.cert }])
      await assert.rejects(join('w-2', tls).ready, /NODE_UNREACHABLE|NODE_REFUSED|certificate/i);
    const { nodes: members } = (await get('/api/v1/nodes')) as unknown as { nodes: { id: string }[] };
    assert.ok(!members.some(({ id }) => id === 'w-2'));
  } finally {
    for (const node of nodes) await node.kill();
  }
});
