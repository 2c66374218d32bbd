import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { limits } from './limits.ts';
import { messageProblem, parseMessage } from './message-schema.ts';
import type { AdapterManifest, Message, MessageKind, MessageOf } from './messages.ts';

const digest = '0123456789abcdef'.repeat(4);
const attempt = { run_id: 'run-1', step_id: 'load', attempt: 1, epoch: 3 };
const adapter: AdapterManifest = {
  adapter_id: 'transform',
  version: '1.0.0',
  step_types: [{ type: 'transform_map', description: 'Maps.', params_schema: { input: 'array' }, deterministic: true }],
  resources: { qubits: 4 },
};

/** One of each kind, with every optional field. */
const samples: { [K in MessageKind]: MessageOf<K> } = {
  hello: {
    kind: 'hello',
    versions: { min: 1, max: 1 },
    product: 'jsonflow/0.1.0',
    node_id: 'worker-1',
    public_key: 'PEM',
    nonce: 'AAAA',
    token: 't',
  },
  challenge: { kind: 'challenge', version: 1, node_id: 'c', public_key: 'PEM', epoch: 3, nonce: 'A', signature: 'B' },
  proof: {
    kind: 'proof',
    signature: 'B',
    adapters: [adapter],
    resources: { ram_mb: 1024.5 },
    labels: { zone: 'a' },
    slots: 4,
    backends: ['simulator'],
    holding: [attempt],
  },
  welcome: { kind: 'welcome', epoch: 3, heartbeat_ms: 1000, drop: [attempt] },
  refuse: { kind: 'refuse', code: 'UNAUTHORIZED', message: 'no' },
  assign: {
    kind: 'assign',
    assignment: {
      ...attempt,
      step_type: 'transform_map',
      tenant_id: null,
      workflow_digest: digest,
      step_digest: digest,
      input_digest: digest,
      params: { value: { input: [1, null] } },
      pointers: [['input', 0]],
      parents: [{ step_id: 'a', receipt_digest: digest }],
      timeout_ms: null,
      resources: { cpu_cores: 0.5 },
      checkpoint: { digest, bytes: 5 },
      checkpoint_frequency: 'on_change',
    },
  },
  cancel: { kind: 'cancel', ...attempt, why: 'asked' },
  progress: { kind: 'progress', ...attempt, fraction: null, note: '' },
  log: { kind: 'log', ...attempt, level: 'info', text: 'hello', at: 1.5 },
  checkpoint: { kind: 'checkpoint', ...attempt, save: 1, state: { value: null } },
  'checkpoint.saved': { kind: 'checkpoint.saved', ...attempt, save: 1 },
  result: {
    kind: 'result',
    ...attempt,
    envelope: { payload: 'e30=', payloadType: 'application/vnd.in-toto+json', signatures: [{ keyid: 'k', sig: 's' }] },
    output: { digest, bytes: 5 },
    output_digest: digest,
    error: { code: 'E', message: 'm', retryable: false },
  },
  ack: { kind: 'ack', ...attempt, accepted: true, why: 'late' },
  return: { kind: 'return', ...attempt, why: 'leaving' },
  ping: { kind: 'ping', at: 1 },
  pong: { kind: 'pong', at: 1, running: 0, free: { ram_mb: 0 } },
  manifest: { kind: 'manifest', adapters: [adapter], resources: {} },
  goodbye: { kind: 'goodbye', why: 'leaving' },
  'blob.get': { kind: 'blob.get', digest, id: 1 },
  'blob.data': { kind: 'blob.data', id: 1, offset: 0, total: 0 },
  'blob.missing': { kind: 'blob.missing', id: 1 },
  'blob.put': { kind: 'blob.put', digest, id: 1, total: 5 },
  'blob.stored': { kind: 'blob.stored', id: 1 },
};
/** Fields that may be absent, by path. */
const optional = new Set([
  'hello.token',
  'assign.assignment.checkpoint',
  'assign.assignment.checkpoint_frequency',
  'result.error',
  'ack.why',
  ...['proof', 'manifest'].flatMap((kind) => [
    `${kind}.adapters[0].resources`,
    `${kind}.adapters[0].step_types[0].description`,
    `${kind}.adapters[0].step_types[0].params_schema`,
    `${kind}.adapters[0].step_types[0].deterministic`,
  ]),
]);
/** Below these anything goes, or any name does. */
const free = /\.(value|params_schema)$|\.(resources|labels|free)$/;

type Slot = { path: string; holder: Record<string, unknown>; key: string };

/** Every field of a message, at any depth. */
function* slots(value: unknown, path: string): Generator<Slot> {
  if (typeof value !== 'object' || value === null || free.test(path)) return;
  for (const [key, inner] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`;
    if (!Array.isArray(value)) yield { path: at, holder: value as Record<string, unknown>, key };
    yield* slots(inner, at);
  }
}

for (const sample of Object.values<Message>(samples)) {
  describe(sample.kind, () => {
    test('is a message, with unknown fields too', () => {
      assert.equal(messageProblem(sample), undefined);
      assert.equal(messageProblem({ ...sample, colour: 'blue', deep: [{ a: 1 }] }), undefined);
    });

    test('every field is checked', () => {
      const copy = structuredClone(sample);
      for (const { path, holder, key } of slots(copy, sample.kind)) {
        const value = holder[key];
        // A value that is data can be anything but absent.
        if (!path.endsWith('.value')) {
          for (const wrong of [Symbol('wrong'), () => 1, Number.NaN, Number.POSITIVE_INFINITY, -1.5]) {
            holder[key] = wrong;
            const signed = /\.(at|fraction)$/.test(path) && wrong === -1.5;
            assert.equal(messageProblem(copy) === undefined, signed, `${path} = ${String(wrong)}`);
          }
        }
        delete holder[key];
        assert.equal(messageProblem(copy) === undefined, optional.has(path), `${path} is absent`);
        holder[key] = value;
        assert.equal(messageProblem(copy), undefined);
      }
    });
  });
}

test('a problem is named with its path', () => {
  const assignment = {
    ...samples.assign.assignment,
    parents: [{ step_id: 'a', receipt_digest: digest.toUpperCase() }],
  };
  assert.equal(
    messageProblem({ kind: 'assign', assignment }),
    'assign.assignment.parents[0].receipt_digest must be 64 lower-case hexadecimal digits',
  );
  assert.equal(messageProblem({ ...samples.log, level: 'loud' }), 'log.level must be one of debug, info, warn, error');
  assert.throws(() => parseMessage({ kind: 'ping' }), { code: 'INVALID_MESSAGE', message: /ping\.at/ });
  assert.equal(parseMessage(samples.ping), samples.ping);
});

test('what is no message, or of no known kind', () => {
  for (const value of [
    null,
    undefined,
    1,
    'ping',
    [],
    [samples.ping],
    {},
    { kind: 1 },
    { kind: null },
    { kind: ['ping'] },
  ])
    assert.notEqual(messageProblem(value), undefined);
  for (const kind of ['', 'PING', 'constructor', 'toString', '__proto__', 'hasOwnProperty'])
    assert.match(messageProblem({ kind, at: 1 }) ?? '', /unknown kind/);
});

test('limits of names, numbers and depth', () => {
  const invalid = (value: unknown): void => assert.notEqual(messageProblem(value), undefined);
  invalid({ ...samples.cancel, run_id: 'x'.repeat(limits.idLengthMax + 1) });
  invalid({ ...samples.cancel, run_id: '' });
  invalid({ ...samples.cancel, attempt: 2 ** 53 });
  invalid({ ...samples.cancel, attempt: 1.5 });
  const nested = (depth: number): unknown =>
    depth === 0 ? 1 : depth % 2 === 0 ? [nested(depth - 1)] : { a: nested(depth - 1) };
  const carry = (depth: number): unknown => ({ ...samples.checkpoint, state: { value: nested(depth) } });
  assert.equal(messageProblem(carry(limits.jsonDepthMax)), undefined);
  assert.match(messageProblem(carry(limits.jsonDepthMax + 8)) ?? '', /nested deeper/);
  assert.match(messageProblem({ ...samples.ping, unknown: nested(1000) }) ?? '', /nested deeper/);
});

test('__proto__ can neither lend fields nor get into a record', () => {
  const parsed = (json: string): string | undefined => messageProblem(JSON.parse(json));
  assert.notEqual(parsed('{"__proto__":{"kind":"ping","at":1}}'), undefined);
  assert.notEqual(parsed('{"kind":"ping","__proto__":{"at":1}}'), undefined);
  assert.equal(parsed('{"kind":"ping","at":1,"__proto__":{"polluted":true}}'), undefined);
  assert.notEqual(parsed('{"kind":"pong","at":1,"running":0,"free":{"__proto__":1}}'), undefined);
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
});

test('no value makes the check throw', () => {
  const kind = fc.constantFrom(...Object.keys(samples));
  const value = fc.oneof(
    fc.anything(),
    fc.tuple(kind, fc.object()).map(([of, fields]) => ({ ...fields, kind: of })),
  );
  fc.assert(
    fc.property(value, (any) => {
      const problem = messageProblem(any);
      assert.ok(problem === undefined || problem.length > 0);
    }),
    { seed: 20260119, numRuns: 2000 },
  );
});
