import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { routes } from '../../src/http/routes.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { ScriptedCoordinator } from './coordinator.ts';

const file = new URL('../../docs/http-api.md', import.meta.url);

it('the commands of docs/http-api.md work', async () => {
  const text = await readFile(file, 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => String(block));
  assert.ok(blocks.length >= 4);
  const server = createHttpServer({ api: new ScriptedCoordinator() });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const block of blocks) {
    const script = block.replaceAll('localhost:8080', `127.0.0.1:${port}`);
    const { stdout } = await promisify(execFile)('bash', ['-euc', script]);
    assert.match(stdout, /run_id/, block);
  }
  server.close();
});

it('docs/http-api.md names every route', async () => {
  const text = await readFile(file, 'utf8');
  for (const { method, path } of routes) assert.ok(text.includes(`${method} ${path}`), `${method} ${path}`);
});
