import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { after, before, type TestContext, test } from 'node:test';
import { contextFor } from '../../../../test/compliance/adapter.ts';
import { createEgress } from '../../../egress/egress.ts';
import { StepError } from '../../../lib/errors.ts';
import { sha256 } from '../../../lib/hash.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { mlBatch } from '../infer/batch.ts';
import { Batcher } from '../infer/batcher.ts';
import { type InferDeps, mlInfer } from '../infer/infer.ts';
import { ready } from '../infer/run-model.ts';
import { Runner } from '../model/runner.ts';
import { Graph } from '../onnx/graph.ts';
import { encodeModel } from '../onnx/model.ts';
import { Processes } from '../process/processes.ts';
import { headerLength } from './codec.ts';
import { type ModelServer, serveModels } from './server.ts';

const processes = new Processes();
const runner = new Runner(processes);
const deps: InferDeps = { processes, runner, batcher: new Batcher(runner), egress: createEgress() };
let server: ModelServer;

const contextOf = (others: Partial<AdapterContext> = {}) =>
  contextFor({ id: 'r', type: 'ml_infer', params: {} }, undefined, others);

before(async () => {
  const graph = new Graph();
  const [a, b] = [graph.input('a', ['n', 2]), graph.input('b', ['n', 2])];
  graph.output('sum', graph.add(a, b));
  graph.output('product', graph.mul(a, b));
  const bytes = encodeModel(graph);
  const digest = sha256(bytes);
  const model = { kind: 'onnx' as const, name: 'two', key: digest, digest, read: async () => bytes };
  const served = await ready(model, ['cpu'], runner, contextOf());
  server = await serveModels([{ ...served, name: 'two' }], { host: '127.0.0.1', port: 0, version: '1', deps });
});
after(async () => {
  await server.close();
  await processes.close();
});

const base = (): string => `http://127.0.0.1:${server.port}`;
const infer = (params: JSONObject, others: Partial<AdapterContext> = {}): Promise<JSONObject> =>
  mlInfer(
    { id: 'r', type: 'ml_infer', params: { framework: 'remote', url: base(), model: 'two', ...params } },
    contextOf(others),
    deps,
  );
const input = {
  a: [
    [1, 2],
    [0.5, 1e10],
  ],
  b: [
    [3, 4],
    [2, 2],
  ],
};

test('a step runs a model on a server, by JSON and by bytes', async () => {
  for (const binary of [true, false, undefined]) {
    const output = await infer({ input, ...(binary === undefined ? {} : { binary }) });
    assert.deepEqual(
      output.outputs,
      {
        sum: [
          [4, 6],
          [2.5, 1e10],
        ],
        product: [
          [3, 8],
          [1, 2e10],
        ],
      },
      String(binary),
    );
    assert.deepEqual([output.server, output.device], [`${base()}/v2/models/two`, 'remote']);
    const only = await infer({ input, outputs: ['product'], ...(binary === undefined ? {} : { binary }) });
    assert.deepEqual(only.outputs, {
      product: [
        [3, 8],
        [1, 2e10],
      ],
    });
  }
  const rows = Array.from({ length: 100 }, (_, at) => ({ a: [at, 1], b: [1, 1] }));
  const params = {
    framework: 'remote',
    url: base(),
    model_name: 'two',
    model_version: '1',
    input: rows,
    outputs: ['sum'],
  };
  const { result } = await mlBatch({ id: 'b', type: 'ml_batch', params }, contextOf(), deps);
  assert.deepEqual(
    result,
    rows.map(({ a: [at = 0] }) => [at + 1, 2]),
  );
});

test('the server says what it is, and that it is ready', async () => {
  const get = async (path: string) => (await fetch(base() + path)).json();
  assert.deepEqual(await get('/v2'), { name: 'jsonflow', version: '1', extensions: ['binary_tensor_data'] });
  assert.deepEqual(await get('/v2/health/live'), { live: true });
  assert.deepEqual(await get('/v2/health/ready'), { ready: true });
  assert.deepEqual(await get('/v2/models/two/ready'), { name: 'two', ready: true });
  assert.deepEqual(await get('/v2/models/two/versions/1'), {
    name: 'two',
    versions: ['1'],
    platform: 'onnxruntime_onnx',
    inputs: [
      { name: 'a', datatype: 'FP32', shape: [-1, 2] },
      { name: 'b', datatype: 'FP32', shape: [-1, 2] },
    ],
    outputs: [
      { name: 'sum', datatype: 'FP32', shape: [-1, 2] },
      { name: 'product', datatype: 'FP32', shape: [-1, 2] },
    ],
  });
});

const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${base()}/v2/models/two/infer`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const tensor = (name: string, data: unknown) => ({ name, shape: [1, 2], datatype: 'FP32', data });

test('a request as the protocol shows it is answered with its id', async () => {
  const response = await post({
    id: '42',
    inputs: [tensor('a', [1, 2]), tensor('b', [[3, 4]])],
    outputs: [{ name: 'sum' }],
  });
  assert.deepEqual(await response.json(), {
    model_name: 'two',
    model_version: '1',
    id: '42',
    outputs: [{ name: 'sum', shape: [1, 2], datatype: 'FP32', data: [4, 6] }],
  });
});

test('bad requests are refused with a reason, and cost nothing else', async () => {
  const a = tensor('a', [1, 2]);
  const cases: [unknown, number, RegExp, Record<string, string>?][] = [
    ['{', 400, /not a JSON object/],
    [{}, 400, /inputs must be a list/],
    [{ inputs: [a] }, 400, /"b" is missing/],
    [{ inputs: [a, a] }, 400, /name of another/],
    [{ inputs: [a, tensor('b', [1, 2]), tensor('c', [1, 2])] }, 400, /"c" is no input/],
    [{ inputs: [a, tensor('b', [1])] }, 400, /has 1 elements/],
    [{ inputs: [a, { ...tensor('b', [1, 2]), datatype: 'FP8' }] }, 400, /datatype must be one of/],
    [
      { inputs: [a, { ...tensor('b', undefined), parameters: { binary_data_size: 8 } }] },
      400,
      /doesn't fit the 0 bytes/,
    ],
    [{ inputs: [a, tensor('b', [1, 2])], outputs: [{ name: 'x' }] }, 400, /"x" is no output/],
    [{ inputs: [] }, 400, /header .* says 99999/, { [headerLength]: '99999' }],
  ];
  for (const [body, status, reason, headers] of cases) {
    const response = await post(body, headers);
    const { error } = (await response.json()) as { error: string };
    assert.equal(response.status, status, error);
    assert.match(error, reason);
  }
  assert.equal((await fetch(`${base()}/v2/models/none`)).status, 404);
  assert.equal((await fetch(`${base()}/v2/models/two/versions/7`)).status, 404);
  assert.equal((await fetch(`${base()}/v2/models/%E0%A4%A`)).status, 400);
  assert.equal((await fetch(`${base()}/v2/models/two/infer`)).status, 405);
  assert.equal((await fetch(`${base()}/other`)).status, 404);
  assert.deepEqual((await infer({ input })).shapes, {
    sum: { dtype: 'float32', shape: [2, 2] },
    product: { dtype: 'float32', shape: [2, 2] },
  });
});

test('a server that fails costs its step a typed error', async (t) => {
  const other = async (listener: RequestListener): Promise<string> => {
    const bad = createServer(listener).listen(0, '127.0.0.1');
    await new Promise((resolve) => bad.once('listening', resolve));
    t.after(() => {
      bad.closeAllConnections();
      bad.close();
    });
    return `http://127.0.0.1:${(bad.address() as AddressInfo).port}`;
  };
  const refuses = (url: string, code: string, retryable: boolean, message: RegExp, params: JSONObject = {}) =>
    assert.rejects(infer({ input, url, binary: false, ...params }), { code, retryable, message });
  const busy = await other((_, response) => response.writeHead(503).end('{"error":"warming up"}'));
  await refuses(busy, 'ML_REMOTE_FAILED', true, /answered 503: warming up/);
  const none = await other((_, response) => response.writeHead(404).end('{"error":"no such model"}'));
  await refuses(none, 'ML_REMOTE_FAILED', false, /404: no such model/);
  await refuses(await other((_, response) => response.end('<html>')), 'ML_REMOTE_INVALID', false, /not a JSON object/);
  await refuses(await other((_, response) => response.end('{}')), 'ML_REMOTE_INVALID', false, /what its inputs are/);
  await refuses(
    await other((_, response) => response.end('x'.repeat(2 ** 21))),
    'ML_REMOTE_INVALID',
    false,
    /more than the/,
  );
  await refuses(await other((_, response) => response.destroy()), 'ML_REMOTE_FAILED', true, /can't be reached/);
  await refuses(await other(() => undefined), 'ML_REMOTE_TIMEOUT', true, /longer than 50 ms/, {
    request_timeout_ms: 50,
  });
  await refuses('ftp://127.0.0.1', 'INVALID_PARAMS', false, /http or https/);
});

/** A server of one model with an input `x` and an output `y`, and what it was asked. */
async function peer(
  t: TestContext,
  answer: (path: string, body: Buffer) => unknown,
): Promise<{ url: string; asked: { path: string; body: string; headers: IncomingHttpHeaders }[] }> {
  const asked: { path: string; body: string; headers: IncomingHttpHeaders }[] = [];
  const listener: RequestListener = async (request, response) => {
    const body = await buffer(request);
    const path = request.url ?? '';
    asked.push({ path, body: body.toString(), headers: request.headers });
    response.end(JSON.stringify(answer(path, body)));
  };
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
const x = { name: 'x', datatype: 'FP32', shape: [-1, 2] };
const y = { ...x, name: 'y' };
const metadata = { name: 'm', inputs: [x], outputs: [y] };

test('what a server gives is what was asked for, or an error', async (t) => {
  let outputs: unknown = [];
  const { url } = await peer(t, (path) => (path.endsWith('/infer') ? { outputs } : metadata));
  const ask = (params: JSONObject = {}) => infer({ url, model_name: 'm', input: [[1, 2]], ...params });
  await assert.rejects(ask(), { code: 'ML_REMOTE_INVALID', message: /no output "y"/ });
  outputs = [{ ...y, name: '__proto__', shape: [1, 2], data: [1, 2] }];
  await assert.rejects(ask(), { code: 'ML_REMOTE_INVALID', message: /no output "y"/ });
  const given = { ...y, shape: [1, 2], data: [1, 2] };
  outputs = [{ ...given, name: 'other' }, given];
  assert.deepEqual((await ask()).outputs, { y: [[1, 2]] });
  for (const shape of [[-1, 2], [1, 3], [1e9, 1e9], Array(100).fill(1), null]) {
    outputs = [{ ...given, shape }];
    await assert.rejects(ask(), { code: 'ML_REMOTE_INVALID' }, JSON.stringify(shape));
  }
  for (const [field, code] of [
    [{ datatype: 'BF16' }, 'ML_UNSUPPORTED_MODEL'],
    [{ shape: ['a'] }, 'ML_REMOTE_INVALID'],
  ] as const) {
    const odd = await peer(t, () => ({ ...metadata, outputs: [{ ...y, ...field }] }));
    await assert.rejects(ask({ url: odd.url }), { code }, JSON.stringify(field));
  }
});

test('a server that says nothing of its tensors is asked by the names that the step gives', async (t) => {
  const { url, asked } = await peer(t, (path) =>
    path.endsWith('/infer') ? { outputs: [{ ...y, shape: [2], data: [3, 4] }] } : { inputs: [], outputs: [] },
  );
  const ask = (given: JSONValue) => infer({ url, model_name: 'm', input: given });
  const output = await ask({ x: { shape: [2, 1], dtype: 'int64', data: [5, 6] } });
  assert.deepEqual([output.result, output.outputs], [[3, 4], { y: [3, 4] }]);
  assert.deepEqual(JSON.parse(asked.at(-1)?.body ?? ''), {
    inputs: [{ name: 'x', shape: [2, 1], datatype: 'INT64', data: [5, 6] }],
  });
  const params = { framework: 'remote', url, model_name: 'm', input: [{ x: [1] }, { x: [2] }] };
  assert.deepEqual((await mlBatch({ id: 'b', type: 'ml_batch', params }, contextOf(), deps)).result, [3, 4]);
  await assert.rejects(ask([[1]]), { code: 'ML_INPUT_MISMATCH', message: /doesn't say what the model takes/ });
  await assert.rejects(ask({ data: [1] }), { code: 'ML_INPUT_MISMATCH' });
});

test('large numbers are numbers on the wire', async (t) => {
  const { url, asked } = await peer(t, (path) =>
    path.endsWith('/infer') ? { outputs: [{ ...y, shape: [1, 2], data: [1, 2] }] } : metadata,
  );
  await infer({ url, model_name: 'm', input: [[2 ** 70, 1.5]] });
  assert.deepEqual(JSON.parse(asked.at(-1)?.body ?? '').inputs[0].data, [2 ** 70, 1.5]);
  const answer = await post({ inputs: [tensor('a', [2 ** 70, 'Infinity']), tensor('b', [0, 0])] });
  const { outputs } = (await answer.json()) as { outputs: JSONObject[] };
  assert.deepEqual(outputs[0]?.data, [2 ** 70, 'Infinity']);
});

test('headers and names of a step change where and how it asks in no other way', async (t) => {
  const { url, asked } = await peer(t, (path) =>
    path.endsWith('/infer') ? { outputs: [{ ...y, shape: [1, 2], data: [1, 2] }] } : metadata,
  );
  const ask = (params: JSONObject) => infer({ url, model_name: 'm', input: [[1, 2]], ...params });
  for (const [name, value] of [
    ['Host', 'other'],
    ['content-type', 'text/plain'],
    ['Transfer-Encoding', 'chunked'],
    ['Inference-Header-Content-Length', '1'],
    ['two words', 'x'],
    ['x', 'a\r\nb: secret'],
  ] as const)
    await assert.rejects(ask({ headers: { [name]: value } }), (thrown: StepError) => {
      assert.deepEqual([thrown.code, thrown.retryable], ['INVALID_PARAMS', false], name);
      return !thrown.message.includes('secret');
    });
  for (const name of ['.', '..'])
    await assert.rejects(ask({ model_version: name }), { code: 'INVALID_PARAMS', message: /model_version/ });
  assert.equal(asked.length, 0);
  await ask({ url: `${url}/models`, model_name: '../x', headers: { Authorization: 'Bearer t' } });
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['/models/v2', '/models/v2/models/..%2Fx', '/models/v2/models/..%2Fx/infer'],
  );
  assert.equal(asked.at(-1)?.headers.authorization, 'Bearer t');
});

test('a tenant reaches no server within', async () => {
  await assert.rejects(infer({ input }, { tenant_id: 'acme' }), { code: 'EGRESS_DENIED' });
});

test('a cancelled step leaves at once', async () => {
  const stop = new AbortController();
  const reason = new StepError('STEP_CANCELLED', 'enough');
  const hanging = createServer(() => stop.abort(reason)).listen(0, '127.0.0.1');
  await new Promise((resolve) => hanging.once('listening', resolve));
  const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`;
  await assert.rejects(infer({ input, url }, { signal: stop.signal }), reason);
  hanging.closeAllConnections();
  hanging.close();
});
