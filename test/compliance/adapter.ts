import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalize } from '../../src/lib/canonical.ts';
import { JSONFlowError, StepError } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/hash.ts';
import { cloneJSON, type JSONObject, type JSONValue } from '../../src/lib/json.ts';
import type { Adapter, AdapterContext, AdapterStep } from '../../src/ports/adapter.ts';
import { AdapterRegistry } from '../../src/worker/registry.ts';
import { bareContext } from '../support/bare-context.ts';

/** A step that the suite runs. Give one at least for each step type. */
export interface AdapterSample {
  type: string;
  /** Params that work. */
  params: JSONObject;
  /** Params that must be refused before anything happens. */
  badParams?: JSONObject;
  /** Params with which the step goes on until it is cancelled, or for a minute at least. */
  endlessParams?: JSONObject;
}

/** How long a cancelled step may take to end before the suite calls it stuck. */
const CANCEL_TIMEOUT_MS = 10_000;

/** `execute` may throw or answer at once. */
const execute = async (adapter: Adapter, step: AdapterStep, signal?: AbortSignal): Promise<unknown> =>
  adapter.execute(step, contextFor(step, signal));

/**
 * A context that grants a step everything and keeps nothing, with blobs in memory.
 * @param others what is otherwise
 */
export function contextFor(
  step: AdapterStep,
  signal: AbortSignal = new AbortController().signal,
  others: Partial<AdapterContext> = {},
): AdapterContext {
  const blobs = new Map<string, Uint8Array>();
  return bareContext({
    run_id: 'compliance',
    step_id: step.id,
    idempotency_key: `compliance/${step.id}`,
    signal,
    checkpoint: async (state) => void canonicalize(state),
    vault: {
      resolve: (pointer) => Promise.reject(new JSONFlowError('SECRET_NOT_FOUND', `there is no secret ${pointer}`)),
    },
    blobs: {
      async get(digest) {
        const bytes = blobs.get(digest);
        if (bytes === undefined) throw new JSONFlowError('NOT_FOUND', `there is no blob ${digest}`);
        return bytes;
      },
      async put(bytes) {
        const digest = sha256(bytes);
        blobs.set(digest, bytes);
        return digest;
      },
    },
    ...others,
  });
}

/**
 * The suite that every adapter passes.
 *
 * @param make a new adapter for each test
 */
export function adapterCompliance(name: string, make: () => Adapter, samples: readonly AdapterSample[]): void {
  async function using<T>(body: (registry: AdapterRegistry, adapter: Adapter) => Promise<T>): Promise<T> {
    const adapter = make();
    const registry = new AdapterRegistry();
    try {
      registry.register(adapter);
      return await body(registry, adapter);
    } finally {
      await registry.close();
    }
  }
  const stepOf = (sample: AdapterSample, params: JSONObject): AdapterStep => ({
    id: 'sample',
    type: sample.type,
    params,
  });
  const run = (registry: AdapterRegistry, step: AdapterStep, signal?: AbortSignal): Promise<JSONValue> =>
    registry.run(step, contextFor(step, signal));

  test(`${name}: the manifest is sound, and stays the same`, () =>
    using(async (registry, adapter) => {
      const manifest = adapter.getManifest();
      assert.deepEqual(adapter.getManifest(), manifest);
      assert.deepEqual(JSON.parse(JSON.stringify(manifest)), manifest, 'a manifest travels as JSON');
      const sampled = new Set(samples.map(({ type }) => type));
      for (const { type, description } of manifest.step_types) {
        assert.ok(sampled.has(type), `no sample for ${type}`);
        assert.ok(registry.lookup(type) !== undefined);
        assert.ok(description !== undefined && description !== '', `${type} has no description`);
      }
    }));

  test(`${name}: health is answered`, () =>
    using(async (_, adapter) => {
      const { status, timestamp } = await adapter.healthCheck();
      assert.equal(typeof status, 'string');
      assert.ok(!Number.isNaN(new Date(timestamp).getTime()), 'the timestamp is a time');
    }));

  test(`${name}: an unknown step type is refused`, () =>
    using(async (_, adapter) => {
      const step = { id: 'sample', type: 'no_such_type', params: {} };
      await assert.rejects(execute(adapter, step), StepError);
    }));

  for (const [index, sample] of samples.entries()) sampleTests(`${name}: ${sample.type} [${index}]`, sample);

  function sampleTests(title: string, sample: AdapterSample): void {
    test(`${title} runs, answers with JSON and leaves its params alone`, () =>
      using(async (registry, adapter) => {
        const params = deepFreeze(cloneJSON(sample.params));
        const before = canonicalize(params);
        const step = stepOf(sample, params);
        assert.deepEqual(registry.lookup(sample.type)?.checkParams(params), []);
        const verdict = await adapter.validate?.(step);
        assert.ok(verdict === undefined || verdict.valid, verdict?.error);
        canonicalize(await run(registry, step));
        assert.equal(canonicalize(params), before);
      }));

    test(`${title} keeps the determinism that it declares`, (context) =>
      using(async (registry) => {
        if (registry.lookup(sample.type)?.stepType.deterministic !== true) return context.skip('not declared');
        const first = canonicalize(await run(registry, stepOf(sample, cloneJSON(sample.params))));
        const second = await using((other) => run(other, stepOf(sample, cloneJSON(sample.params))));
        assert.equal(canonicalize(second), first);
      }));

    test(`${title} does nothing once it is cancelled`, () =>
      using(async (registry) => {
        const reason = new StepError('STEP_CANCELLED', 'cancelled before it began');
        await assert.rejects(
          run(registry, stepOf(sample, cloneJSON(sample.params)), AbortSignal.abort(reason)),
          (thrown) => thrown === reason,
        );
      }));

    const { badParams, endlessParams } = sample;
    if (badParams !== undefined)
      test(`${title} refuses bad params with a message`, () =>
        using(async (registry) => {
          await assert.rejects(run(registry, stepOf(sample, badParams)), (thrown) => {
            assert.ok(thrown instanceof StepError && thrown.code.startsWith('INVALID'), String(thrown));
            assert.notEqual(thrown.message, '');
            assert.equal(thrown.retryable, false);
            return true;
          });
        }));
    if (endlessParams !== undefined)
      test(`${title} ends with the signal's reason`, { timeout: CANCEL_TIMEOUT_MS }, () =>
        using(async (_, adapter) => {
          const stop = new AbortController();
          const reason = new StepError('STEP_CANCELLED', 'cancelled while it ran');
          const step = stepOf(sample, endlessParams);
          const ended = execute(adapter, step, stop.signal);
          setImmediate(() => stop.abort(reason));
          await assert.rejects(ended, (thrown) => thrown === reason);
        }),
      );
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
