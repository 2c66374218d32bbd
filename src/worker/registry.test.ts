import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JSONFlowError, StepError } from '../lib/errors.ts';
import type { JSONObject } from '../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../ports/adapter.ts';
import { AdapterRegistry, type AdapterSource, type CustomAdapter } from './registry.ts';

const nothing = (): void => undefined;

function contextFor(step: AdapterStep, signal: AbortSignal = new AbortController().signal): AdapterContext {
  return {
    run_id: 'run',
    step_id: step.id,
    attempt: 1,
    tenant_id: null,
    idempotency_key: `run/${step.id}`,
    signal,
    deadline_ms: undefined,
    seed: '0'.repeat(32),
    last_checkpoint: undefined,
    keeps_checkpoints: false,
    checkpoint: async () => undefined,
    progress: nothing,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    vault: { resolve: (pointer) => Promise.reject(new JSONFlowError('SECRET_NOT_FOUND', pointer)) },
    blobs: {
      get: (digest) => Promise.reject(new JSONFlowError('NOT_FOUND', digest)),
      put: (bytes) => Promise.resolve(String(bytes.length)),
    },
    redact: (text) => text,
    resources: {},
    assets: {},
    pin: () => undefined,
    varies: () => undefined,
    afterCommit: nothing,
  };
}

function echo(execute: CustomAdapter['execute'], params_schema: JSONObject = { input: 'any?' }): CustomAdapter {
  return {
    getManifest: () => ({ adapter_id: 'echo', version: '1.0.0', step_types: [{ type: 'echo', params_schema }] }),
    execute,
  };
}

function run(source: AdapterSource, params: JSONObject = {}, signal?: AbortSignal): Promise<unknown> {
  const registry = new AdapterRegistry();
  registry.register(source);
  const step = { id: 's', type: 'echo', params };
  return registry.run(step, contextFor(step, signal));
}

const failsWith =
  (code: string, message: RegExp, retryable = false) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof StepError, String(thrown));
    assert.equal(thrown.code, code);
    assert.match(thrown.message, message);
    assert.equal(thrown.retryable, retryable);
    return true;
  };

test('objects, classes and factories are adapters', async () => {
  class Echo {
    getManifest() {
      return { adapter_id: 'echo', version: '1', step_types: [{ type: 'echo', deterministic: true }] };
    }
    execute(step: AdapterStep) {
      return { result: step.params.input };
    }
  }
  for (const source of [Echo, new Echo(), () => new Echo()])
    assert.deepEqual(await run(source as AdapterSource, { input: 3 }), { result: 3 });
});

test('bare outputs and receipts come out alike', async () => {
  assert.deepEqual(await run(echo(() => ({ a: 1 }))), { a: 1 });
  assert.deepEqual(await run(echo(() => ({ step_id: 's', status: 'success', output: { a: 1 } }))), { a: 1 });
  assert.deepEqual(await run(echo(() => ({ step_id: 's', status: 'success', output: undefined }))), null);
  assert.equal(await run(echo(() => undefined)), null);
  // Not a receipt: a reply of an HTTP server may well have a status.
  assert.deepEqual(await run(echo(() => ({ status: 'success', output: 1 }))), { status: 'success', output: 1 });
  await assert.rejects(
    run(
      echo(() => ({ step_id: 's', status: 'failed', error: { code: 'NO_LUCK', message: 'no luck', retryable: true } })),
    ),
    failsWith('NO_LUCK', /^no luck$/, true),
  );
  await assert.rejects(run(echo(() => ({ step_id: 's', status: 'failed' }))), failsWith('STEP_FAILED', /failure/));
  await assert.rejects(run(echo(() => ({ big: 1n }))), failsWith('INVALID_OUTPUT', /output\.big/));
});

test('what is thrown becomes a StepError', async () => {
  const thrower = (thrown: unknown): CustomAdapter =>
    echo(() => {
      throw thrown;
    });
  await assert.rejects(run(thrower(new StepError('OWN', 'own', { retryable: true }))), failsWith('OWN', /own/, true));
  await assert.rejects(
    run(thrower(Object.assign(new Error('busy'), { code: 'BUSY', retriable: true }))),
    failsWith('BUSY', /busy/, true),
  );
  await assert.rejects(
    run(thrower(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))),
    failsWith('ADAPTER_CRASHED', /refused/),
  );
  await assert.rejects(run(thrower('text')), failsWith('ADAPTER_CRASHED', /text/));
  await assert.rejects(run(thrower(undefined)), failsWith('ADAPTER_CRASHED', /undefined/));
  const stop = new AbortController();
  stop.abort(new StepError('STEP_CANCELLED', 'cancelled'));
  await assert.rejects(
    run(
      echo(() => 1),
      {},
      stop.signal,
    ),
    failsWith('STEP_CANCELLED', /cancelled/),
  );
  await assert.rejects(run(thrower(new Error('socket hang up')), {}, stop.signal), failsWith('STEP_CANCELLED', /canc/));
});

test('params are checked against the schema, without repeating them', async () => {
  const never = (): never => assert.fail('executed');
  await assert.rejects(
    run(echo(never, { input: 'string' }), { input: 4711 }),
    failsWith('INVALID_PARAMS', /^params\.input must be string$/),
  );
  await assert.rejects(run(echo(never, { input: 'string' })), failsWith('INVALID_PARAMS', /required property 'input'/));
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    properties: { mode: { enum: ['a', 'b'] }, list: { type: 'array', items: { type: 'integer' } } },
    additionalProperties: false,
  };
  await assert.rejects(
    run(echo(never, schema), { mode: 'c', list: [1, 'x'], other: 1 }),
    failsWith(
      'INVALID_PARAMS',
      /^params has the unknown field "other"; params.mode must be one of \["a","b"\]; params.list\[1\] must be integer$/,
    ),
  );
  const picky = { ...echo(never), validate: () => ({ valid: false, error: 'not today', code: 'PICKY' }) };
  await assert.rejects(run(picky), failsWith('PICKY', /not today/));
});

test('a bad manifest is refused by the name of the field, and nothing is registered', () => {
  const manifest = { adapter_id: 'a', version: '1', step_types: [{ type: 't' }] };
  const cases: [unknown, RegExp][] = [
    [null, /must return an object/],
    [{ ...manifest, adapter_id: '' }, /adapter_id/],
    [{ ...manifest, version: 1 }, /version/],
    [{ ...manifest, step_types: [] }, /step_types/],
    [{ ...manifest, step_types: ['t'] }, /step_types\[0\]/],
    [{ ...manifest, step_types: [{ type: 't' }, { type: 't' }] }, /"t" twice/],
    [{ ...manifest, step_types: [{ type: 't', deterministic: 'yes' }] }, /step_types\[0\]\.deterministic/],
    [{ ...manifest, step_types: [{ type: 't', params_schema: { input: 'text' } }] }, /step_types\[0\].*"input"/],
    [{ ...manifest, step_types: [{ type: 't', params_schema: { type: 'object', properties: 3 } }] }, /params_schema/],
    [{ ...manifest, resources: { qubits: -1 } }, /resources/],
  ];
  for (const [given, expected] of cases) {
    const registry = new AdapterRegistry();
    assert.throws(
      () => registry.register({ getManifest: () => given, execute: () => 1 } as unknown as CustomAdapter),
      (thrown) => thrown instanceof JSONFlowError && thrown.code === 'INVALID_CONFIG' && expected.test(thrown.message),
      String(expected),
    );
    assert.deepEqual(registry.manifests(), []);
  }
  for (const source of [null, 1, {}, { getManifest: () => manifest }, { ...echo(() => 1), validate: 1 }])
    assert.throws(() => new AdapterRegistry().register(source as unknown as AdapterSource), { code: 'INVALID_CONFIG' });
});

test('a step type has one adapter', () => {
  const registry = new AdapterRegistry();
  registry.register(echo(() => 1));
  const other = { ...echo(() => 2), getManifest: () => ({ ...echo(() => 1).getManifest(), adapter_id: 'other' }) };
  assert.throws(() => registry.register(other), { code: 'CONFLICT', message: /"echo" of adapter "other"/ });
  assert.throws(() => registry.register(echo(() => 1)), { code: 'CONFLICT' });
  assert.equal(registry.lookup('echo')?.manifest.adapter_id, 'echo');
  assert.equal(registry.lookup('toString'), undefined);
  assert.deepEqual([...registry.stepTypes().keys()], ['echo']);
  assert.deepEqual(registry.stepTypes().get('echo')?.params_schema, { type: 'object', properties: { input: {} } });
});

test('health and close go on where one adapter fails', async () => {
  const registry = new AdapterRegistry();
  let closed = 0;
  for (const adapter_id of ['ok', 'bad', 'silent'])
    registry.register({
      getManifest: () => ({ adapter_id, version: '1', step_types: [{ type: adapter_id }] }),
      execute: () => 1,
      ...(adapter_id === 'silent'
        ? {}
        : {
            healthCheck: () => {
              if (adapter_id === 'bad') throw new Error('down\nat stack');
              return { status: 'ok', timestamp: 1 };
            },
          }),
      close: () => {
        closed += 1;
        if (adapter_id === 'ok') throw new Error('stuck');
      },
    });
  const health = await registry.health();
  assert.equal(health.ok?.status, 'ok');
  assert.deepEqual([health.bad?.status, health.bad?.message], ['failed', 'down']);
  assert.equal(health.silent?.status, 'unknown');
  await registry.close();
  assert.equal(closed, 3);
});

test('schemas with the same $id do not meet', () => {
  const registry = new AdapterRegistry();
  for (const adapter_id of ['one', 'two'])
    registry.register({
      getManifest: () => ({
        adapter_id,
        version: '1',
        step_types: [
          { type: adapter_id, params_schema: { $id: 'https://example.org/params', required: [adapter_id] } },
        ],
      }),
      execute: () => 1,
    });
  assert.deepEqual(registry.lookup('two')?.checkParams({ one: 1 }), ["params must have required property 'two'"]);
});

test('an output that shares parts with itself is not written out beyond all bounds', async () => {
  let doubled: unknown = 0;
  for (let level = 0; level < 60; level++) doubled = [doubled, doubled];
  await assert.rejects(run(echo(() => doubled as never)), failsWith('LIMIT_EXCEEDED', /more than \d+ bytes of memory/));
});

test('a built-in adapter is replaced by one of its id, and closed; any other keeps its place', async () => {
  const registry = new AdapterRegistry();
  const closes: number[] = [];
  registry.register({ ...echo(() => 1), close: () => void closes.push(1) }, { builtIn: true });
  const thief: CustomAdapter = {
    getManifest: () => ({ adapter_id: 'thief', version: '1', step_types: [{ type: 'echo' }] }),
    execute: () => 3,
  };
  assert.throws(() => registry.register(thief), { code: 'CONFLICT' });
  registry.register(echo(() => 2));
  assert.equal(closes.length, 1);
  const step = { id: 's', type: 'echo', params: {} };
  assert.deepEqual(await registry.run(step, contextFor(step)), 2);
  assert.throws(() => registry.register(echo(() => 3)), { code: 'CONFLICT' });
});

test('an adapter says what a step needs; what is no amount, or throws, is nothing', async (t) => {
  const step = { id: 's', type: 't', params: { n: 4 } };
  const registryOf = (requirements: (step: { params: { n?: unknown } }) => unknown) => {
    const registry = new AdapterRegistry();
    registry.register({
      getManifest: () => ({ adapter_id: 'a', version: '1', step_types: [{ type: 't' }] }),
      execute: () => null,
      requirements: requirements as never,
    });
    return registry;
  };
  assert.deepEqual(await registryOf(({ params }) => ({ qubits: params.n })).requirements(step), { qubits: 4 });
  for (const bad of [() => ({ qubits: -1 }), () => 'four', () => null, () => assert.fail()])
    assert.deepEqual(await registryOf(bad).requirements(step), {});
  assert.deepEqual(await registryOf(() => ({ qubits: 1 })).requirements({ ...step, type: 'other' }), {});
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const asked = registryOf(() => new Promise(() => undefined)).requirements(step);
  t.mock.timers.tick(5_000);
  assert.deepEqual(await asked, {}, 'an adapter that never answers');
});

test('what an adapter warns of is taken as far as it is of the form, and an adapter that fails warns of nothing', () => {
  const warnings = (lint: unknown) => {
    const registry = new AdapterRegistry();
    registry.register({ ...echo(() => null), lint } as never);
    return registry.lint({ id: 's', type: 'echo', params: {} });
  };
  const sound = { path: ['a', 0], message: 'careful', suggestion: 'Do else.' };
  assert.deepEqual(
    warnings(() => [sound, { path: ['a'] }, { path: 'a', message: 'm' }, { path: [{}], message: 'm' }, null]),
    [sound],
  );
  assert.equal(warnings(() => Array(1_000).fill(sound)).length, 100);
  for (const answer of [undefined, 'text', { 0: sound }])
    assert.deepEqual(
      warnings(() => answer),
      [],
    );
  assert.deepEqual(
    warnings(() => {
      throw new StepError('OWN', 'own');
    }),
    [],
  );
  assert.throws(() => warnings('no method'), /lint is not a method/);
});
