import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { Graph } from '../../src/adapters/ml/onnx/graph.ts';
import { encodeModel } from '../../src/adapters/ml/onnx/model.ts';
import { makeCertificates } from '../support/certificates.ts';
import { call } from './terminal.ts';

const folder = await mkdtemp(join(tmpdir(), 'jsonflow-serve-'));

after(() => rm(folder, { recursive: true, force: true }));
const graph = new Graph();
graph.output('y', graph.relu(graph.input('x', ['batch', 3])));
await writeFile(join(folder, 'positive.onnx'), encodeModel(graph));
const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 3], datatype: 'FP32', data: [-1, 0, 2] }] });

/** A process that serves the model, and the line that says so. */
async function serving(t: TestContext, ...options: string[]) {
  const main = new URL('../../src/cli/main.ts', import.meta.url);
  const source = `import { main } from ${JSON.stringify(main.href)}; import { processTerminal } from ${JSON.stringify(new URL('./terminal.ts', main).href)};
    process.exitCode = await main(process.argv.slice(1), processTerminal());`;
  const argv = ['serve-model', join(folder, 'positive.onnx'), '--port', '0', '--json', ...options];
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', source, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, ...(JSON.parse(line.toString()) as { ready: boolean; name: string; url: string }) };
}

test('a model is served until a signal', async (t) => {
  const { child, ready, name, url } = await serving(t);
  assert.deepEqual([ready, name], [true, 'positive']);
  const answer = (await (await fetch(`${url}/infer`, { method: 'POST', body })).json()) as { outputs: unknown };
  assert.deepEqual(answer.outputs, [{ name: 'y', shape: [1, 3], datatype: 'FP32', data: [0, 0, 2] }]);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('with a token only who shows it is answered, over TLS too', async (t) => {
  const { ca, server } = makeCertificates();
  const files = { token: 'open-sesame\n', cert: server.cert, key: server.key };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const at = (name: string): string => join(folder, name);
  const secure = ['--tls-cert', at('cert'), '--tls-key', at('key'), '--host', '0.0.0.0'];
  const { url } = await serving(t, '--api-token', `@${at('token')}`, ...secure);
  const { port, pathname } = new URL(url);
  const ask = (path: string, headers: Record<string, string>, method = 'GET'): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, method, headers, ca: ca.cert, agent: false as const };
      request(options, (response) => resolve(response.resume().statusCode ?? 0))
        .on('error', reject)
        .end(method === 'POST' ? body : undefined);
    });
  assert.equal(await ask(`${pathname}/infer`, {}, 'POST'), 401);
  assert.equal(await ask(`${pathname}/infer`, { authorization: 'Bearer open' }, 'POST'), 401);
  assert.equal(await ask(`${pathname}/infer`, { authorization: 'Bearer open-sesame' }, 'POST'), 200);
  assert.equal(await ask('/v2/health/ready', {}), 200);
});

test('without a token a web page or another name reaches nothing', async (t) => {
  const { url } = await serving(t);
  assert.equal((await fetch(url)).status, 200);
  assert.equal((await fetch(url, { headers: { origin: 'http://evil.example' } })).status, 403);
  assert.equal((await fetch(url, { headers: { 'x-forwarded-for': '10.0.0.1' } })).status, 401);
});

test('other machines are let in by who asks for it alone', async () => {
  const serve = (...options: string[]) =>
    call(['serve-model', join(folder, 'positive.onnx'), '--port', '0', ...options]);
  const cases: [string[], RegExp][] = [
    [['--host', '0.0.0.0'], /0\.0\.0\.0 without TLS[\s\S]*--tls-cert/],
    [['--host', '::', '--api-token', 'x'], /without TLS/],
    [['--host', '0.0.0.0', '--tls-cert', join(folder, 'cert'), '--tls-key', join(folder, 'key')], /without a token/],
    [['--tls-ca', join(folder, 'cert')], /no TLS/],
    [['--tls-cert', join(folder, 'cert')], /belong together/],
    [['--api-token', `@${join(folder, 'empty')}`], /token is empty/],
  ];
  await writeFile(join(folder, 'empty'), '\n');
  for (const [options, message] of cases) {
    const { code, err } = await serve(...options);
    assert.equal(code, 2, options.join(' '));
    assert.match(err, message);
  }
});

test('what is no model is refused with what to do', async () => {
  const { code, err } = await call(['serve-model', join(folder, 'none.onnx')]);
  assert.equal(code, 2);
  assert.match(err, /there is no model "none\.onnx"[\s\S]*Give an ONNX file/);
  assert.equal((await call(['serve-model', 'x.onnx', '--port', '99999'])).code, 2);
});
