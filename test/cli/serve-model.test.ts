import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Graph } from '../../src/adapters/ml/onnx/graph.ts';
import { encodeModel } from '../../src/adapters/ml/onnx/model.ts';
import { call } from './terminal.ts';

const folder = await mkdtemp(join(tmpdir(), 'jsonflow-serve-'));

test('a model is served until a signal', async (t) => {
  t.after(() => rm(folder, { recursive: true, force: true }));
  const graph = new Graph();
  graph.output('y', graph.relu(graph.input('x', ['batch', 3])));
  await writeFile(join(folder, 'positive.onnx'), encodeModel(graph));
  const main = new URL('../../src/cli/main.ts', import.meta.url);
  const source = `import { main } from ${JSON.stringify(main.href)}; import { processTerminal } from ${JSON.stringify(new URL('./terminal.ts', main).href)};
    process.exitCode = await main(process.argv.slice(1), processTerminal());`;
  const argv = ['serve-model', join(folder, 'positive.onnx'), '--port', '0', '--json'];
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', source, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { ready, name, url } = JSON.parse(line.toString());
  assert.deepEqual([ready, name], [true, 'positive']);
  const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 3], datatype: 'FP32', data: [-1, 0, 2] }] });
  const answer = (await (await fetch(`${url}/infer`, { method: 'POST', body })).json()) as { outputs: unknown };
  assert.deepEqual(answer.outputs, [{ name: 'y', shape: [1, 3], datatype: 'FP32', data: [0, 0, 2] }]);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('what is no model is refused with what to do', async () => {
  const { code, err } = await call(['serve-model', join(folder, 'none.onnx')]);
  assert.equal(code, 2);
  assert.match(err, /there is no model "none\.onnx"[\s\S]*Give an ONNX file/);
  assert.equal((await call(['serve-model', 'x.onnx', '--port', '99999'])).code, 2);
});
