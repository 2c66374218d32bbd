import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { PrivateServer, sweepPrivateServers } from '../../scripts/servers/private.ts';
import { recipes } from '../../scripts/servers/recipes.ts';
import { freshDatabase, uniqueName } from '../support/fresh-database.ts';
import { privateSkipReason, service, skipReason } from '../support/services.ts';

const folder = mkdtempSync(join(tmpdir(), 'jsonflow-private-'));
after(() => rmSync(folder, { recursive: true }));

/** What a test file prints whose server isn't there: it lies in a copy of this checkout that has started none. */
function withoutServer(env: NodeJS.ProcessEnv): { status: number | null; stdout: string } {
  const root = join(import.meta.dirname, '..', '..');
  const checkout = mkdtempSync(join(folder, 'checkout-'));
  for (const path of ['package.json', 'scripts/servers', 'test/support/services.ts']) {
    cpSync(join(root, path), join(checkout, path), { recursive: true });
  }
  const source = `import { test } from 'node:test';
import { describeWith } from '../support/services.ts';
describeWith('kafka', 'things with Kafka', () => { test('one', () => {}); });`;
  mkdirSync(join(checkout, 'test', 'some'));
  writeFileSync(join(checkout, 'test', 'some', 'some.test.ts'), source);
  // Without the first variable the inner runner would report to the outer one.
  const { NODE_TEST_CONTEXT: _, JSONFLOW_TEST_KAFKA: __, ...rest } = process.env;
  const args = ['--test', '--test-reporter=tap', 'test/some/some.test.ts'];
  return spawnSync(process.execPath, args, { cwd: checkout, encoding: 'utf8', env: { ...rest, ...env } });
}

describe('a shared server', () => {
  test('is the one that its variable names', (t) => {
    t.after(() => delete process.env.JSONFLOW_TEST_KAFKA);
    process.env.JSONFLOW_TEST_KAFKA = 'kafka://elsewhere:9092';
    assert.deepEqual(service('kafka'), { url: 'kafka://elsewhere:9092' });
    assert.equal(skipReason('kafka'), false);
  });

  test("that isn't there skips its tests with a reason", () => {
    const { status, stdout } = withoutServer({ JSONFLOW_SERVICES: '' });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /things with Kafka # SKIP kafka doesn't run; run scripts\/services start kafka/);
    assert.match(stdout, /# skipped 1/);
  });

  test('that must be there fails them', () => {
    const { status, stdout } = withoutServer({ JSONFLOW_SERVICES: 'required' });
    assert.equal(status, 1, stdout);
    assert.match(stdout, /JSONFLOW_SERVICES=required, but there is no server: kafka doesn't run/);
  });
});

describe('a private server', { skip: privateSkipReason('redis') }, () => {
  test('keeps its address and data when it is killed and started again, and leaves nothing when it is stopped', async () => {
    const { createClient } = await import('redis');
    const server = await PrivateServer.start('redis', folder);
    const client = createClient({ url: server.url }).on('error', () => {});
    await client.connect();
    await client.set('key', 'kept');
    client.destroy();
    await server.kill();
    await assert.rejects(recipes.redis.probe(server.url));
    await server.restart();
    const again = createClient({ url: server.url });
    await again.connect();
    assert.equal(await again.get('key'), 'kept');
    again.destroy();
    await server.stop();
    await assert.rejects(recipes.redis.probe(server.url));
    assert.equal(existsSync(server.dataDir), false);
    assert.deepEqual(readdirSync(join(folder, 'private')), []);
  });

  test('of a test that was killed is ended by whoever comes next', async () => {
    const script = join(import.meta.dirname, '..', '..', 'scripts', 'servers', 'private.ts');
    const source = `import { PrivateServer } from ${JSON.stringify(script)};
const { url, dataDir } = await PrivateServer.start('redis', ${JSON.stringify(folder)});
console.log(JSON.stringify({ url, dataDir }));
process.kill(process.pid, 'SIGKILL');`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
    const { url, dataDir } = JSON.parse(stdout);
    assert.equal(await recipes.redis.probe(url).then(Boolean), true);
    await sweepPrivateServers(folder);
    await assert.rejects(recipes.redis.probe(url));
    assert.equal(existsSync(dataDir), false);
  });

  test('ends with the process that forgets it', async () => {
    const script = join(import.meta.dirname, '..', '..', 'scripts', 'servers', 'private.ts');
    const source = `import { PrivateServer } from ${JSON.stringify(script)};
const { url, dataDir } = await PrivateServer.start('redis', ${JSON.stringify(folder)});
console.log(JSON.stringify({ url, dataDir }));
process.exit();`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
    const { url, dataDir } = JSON.parse(stdout);
    await assert.rejects(recipes.redis.probe(url));
    assert.equal(existsSync(dataDir), false);
  });
});

for (const name of ['postgres', 'mysql', 'redis', 'mongodb'] as const) {
  test(`fresh databases of ${name} are apart`, { skip: skipReason(name) }, async () => {
    const [one, two] = [await freshDatabase(name), await freshDatabase(name)];
    assert.notEqual(one.url, two.url);
    for (const { url } of [one, two]) assert.ok(await recipes[name].probe(url));
    await one.drop();
    await two.drop();
  });
}

test('unique names are unique', () => {
  assert.match(uniqueName('orders'), /^orders-[0-9a-f]{12}$/);
  assert.notEqual(uniqueName(), uniqueName());
});
