// What the model server does with callers that it can't trust.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { Batcher } from '../infer/batcher.ts';
import type { RunDeps } from '../infer/run-model.ts';
import { Refusal } from './reply.ts';
import type { ServedModel } from './served-model.ts';
import { type ModelServer, serveModels } from './server.ts';

/** Gives back its input once it may. */
let turn: Promise<void> = Promise.resolve();
const runner = {
  run: async (_: unknown, __: unknown, { x }: Record<string, unknown>) => {
    await turn;
    return { y: x };
  },
} as unknown as RunDeps['runner'];
const batcher = new Batcher(runner);
const axes = { dtype: 'float32' as const, shape: [-1, 2] };
const model: ServedModel = {
  name: 'm',
  device: 'cpu',
  info: { inputs: [{ name: 'x', ...axes }], outputs: [{ name: 'y', ...axes }] },
  model: { kind: 'onnx', name: 'm', key: 'm', digest: '', read: async () => new Uint8Array() },
};
let server: ModelServer;
let base = '';
before(async () => {
  const admit = ({ header }: { header(name: string): string | undefined }): void => {
    if (header('authorization') !== 'Bearer t') throw new Refusal(401, 'no', { 'www-authenticate': 'Bearer' });
  };
  server = await serveModels([model], { host: '127.0.0.1', port: 0, version: '1', deps: { runner, batcher }, admit });
  base = `http://127.0.0.1:${server.port}`;
});
after(() => server.close());

const authorization = 'Bearer t';
const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] }] });
const post = (init: RequestInit = {}) =>
  fetch(`${base}/v2/models/m/infer`, { method: 'POST', body, headers: { authorization }, ...init });

test('whoever is not admitted learns that the server lives, and nothing else', async () => {
  for (const path of ['/v2', '/v2/models/m', '/v2/models/none', '/v2/models/m/ready', '/'])
    assert.equal((await fetch(base + path)).status, 401, path);
  const refused = await post({ headers: {} });
  assert.deepEqual([refused.status, refused.headers.get('www-authenticate')], [401, 'Bearer']);
  assert.equal((await fetch(`${base}/v2/health/live`)).status, 200);
  assert.equal((await fetch(`${base}/v2/health/ready`)).status, 200);
  assert.equal((await post()).status, 200);
});

/** What is answered to bytes. */
async function raw(text: string): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  socket.write(text);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString();
}
const head = (line: string, ...headers: string[]): string =>
  [`${line} HTTP/1.1`, 'Host: a', 'Connection: close', `Authorization: ${authorization}`, ...headers, '', ''].join(
    '\r\n',
  );

test('odd requests are refused, each with its status', async () => {
  const cases: [string, number][] = [
    [head('GET //'), 404],
    [head('GET http://'), 404],
    [head('GET /v2/models/%zz'), 400],
    [head('DELETE /v2'), 405],
    [head('POST /v2/health/live', 'Content-Length: 0'), 405],
    [head('HEAD /v2/models/m'), 200],
    [head('POST /v2/models/m/infer', 'Content-Length: 0'), 400],
    [head('POST /v2/models/m/infer', 'Content-Encoding: gzip', 'Content-Length: 0'), 415],
    [head('POST /v2/models/m/infer', 'Transfer-Encoding: chunked', 'Content-Length: 2'), 400],
    [head('POST /v2/models/m/infer', `Content-Length: ${2 ** 40}`), 413],
    ['\x16\x03\x01\x02', 400],
  ];
  for (const [text, status] of cases)
    assert.match(await raw(text), new RegExp(`^HTTP/1.1 ${status} `), text.slice(0, 100));
});

test('more requests than it takes are turned away at once, and it says that it lives all the while', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  turn = promise;
  const all = Array.from({ length: 260 }, () => post());
  const early = await Promise.race(all);
  assert.deepEqual([early.status, early.headers.get('retry-after')], [503, '1']);
  assert.equal((await fetch(`${base}/v2/health/live`)).status, 200);
  resolve();
  const statuses = (await Promise.all(all)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 200).length, 256);
  assert.equal((await post()).status, 200);
});
