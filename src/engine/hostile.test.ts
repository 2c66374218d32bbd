import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { adapterOf, Cluster, steps, until } from '../../test/support/cluster.ts';
import { DistributedEngine } from '../compose/distributed-engine.ts';
import { JSONFlowError } from '../lib/errors.ts';
import type { JSONValue } from '../lib/json.ts';
import { messageProblem } from '../protocol/message-schema.ts';
import type { Assignment, Message } from '../protocol/messages.ts';

const envelope = fc.record({
  payload: fc.oneof(fc.base64String(), fc.string()),
  payloadType: fc.constant('application/vnd.in-toto+json' as const),
  signatures: fc.array(fc.record({ keyid: fc.string(), sig: fc.oneof(fc.base64String(), fc.string()) }), {
    maxLength: 2,
  }),
});
const digest = fc.constantFrom('0'.repeat(64), 'f'.repeat(64));
const stored = fc.oneof(
  fc.record({ value: fc.jsonValue() as fc.Arbitrary<JSONValue> }),
  fc.record({ digest, bytes: fc.nat() }),
);
const small = fc.nat(3);
const amounts = fc.dictionary(fc.constantFrom('ram_mb', 'qubits', '__proto__', ''), fc.nat());
const stepType = fc.record({
  type: fc.constantFrom('raw_step', 'mock_compute', 'toString', 'evil'),
  params_schema: fc.oneof(
    fc.constant({ not: {} }),
    fc.constant({ type: 7 }),
    fc.constant({ $ref: '#/nowhere' }),
    fc.constant({ pattern: '(' }),
    fc.object({ maxDepth: 2 }),
  ) as fc.Arbitrary<Record<string, JSONValue>>,
});
const adapters = fc.array(
  fc.record({ adapter_id: fc.string(), version: fc.string(), step_types: fc.array(stepType, { maxLength: 3 }) }),
  { maxLength: 2 },
);

/** Messages that have the right form and say anything at all, about the given attempts or about none. */
const messages = (known: Assignment): fc.Arbitrary<Message> => {
  const key = {
    run_id: fc.constantFrom(known.run_id, 'nobody'),
    step_id: fc.constantFrom('s0', 's1', 'toString', 'x'),
    attempt: small,
    epoch: small,
  };
  const at = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields);
  const kind = <K extends string>(name: K) => fc.constant(name);
  return fc.oneof(
    at({ kind: kind('result'), ...key, envelope, output: stored, output_digest: digest }),
    at({
      kind: kind('result'),
      ...key,
      envelope,
      output: stored,
      output_digest: digest,
      error: fc.record({ code: fc.string(), message: fc.string(), retryable: fc.boolean() }),
    }),
    at({ kind: kind('checkpoint'), ...key, save: fc.nat(), state: stored }),
    at({ kind: kind('return'), ...key, why: fc.string() }),
    at({
      kind: kind('progress'),
      ...key,
      fraction: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
      note: fc.string(),
    }),
    at({ kind: kind('log'), ...key, level: fc.constantFrom('debug', 'error'), text: fc.string(), at: fc.nat() }),
    at({ kind: kind('ack'), ...key, accepted: fc.boolean() }),
    at({ kind: kind('cancel'), ...key, why: fc.string() }),
    at({ kind: kind('pong'), at: fc.oneof(fc.nat(), fc.constant(-1e300)), running: fc.nat(), free: amounts }),
    at({ kind: kind('ping'), at: fc.nat() }),
    at({ kind: kind('manifest'), adapters, resources: amounts }),
    at({ kind: kind('blob.get'), digest, id: small }),
    at({ kind: kind('blob.put'), digest, id: small, total: fc.nat(10_000) }),
    at({ kind: kind('blob.data'), id: small, offset: small, total: fc.nat(10_000) }),
    at({ kind: kind('blob.missing'), id: small }),
    at({ kind: kind('blob.stored'), id: small }),
    at({ kind: kind('welcome'), epoch: small, heartbeat_ms: fc.nat(), drop: fc.constant([]) }),
    at({ kind: kind('refuse'), code: fc.string(), message: fc.string() }),
  ) as fc.Arbitrary<Message>;
};

it('whatever an authenticated worker says, the coordinator lives on and other nodes finish the runs', async () => {
  const sample: Assignment = await (async () => {
    const cluster = await Cluster.start();
    const worker = await cluster.joined('w');
    await cluster.submit({ steps: steps(1) });
    const { assignment } = await worker.next('assign');
    await cluster.close();
    return assignment;
  })();
  await fc.assert(
    fc.asyncProperty(fc.array(messages(sample), { minLength: 1, maxLength: 60 }), async (said) => {
      const cluster = await Cluster.start();
      cluster.coordinator.emitter.on('fatal', (error) => assert.fail(error));
      const hostile = await cluster.joined('x');
      const runId = await cluster.submit({ steps: steps(2) });
      await hostile.next('assign');
      for (const message of said) {
        // What has not the form of a message never gets past the transport.
        const about = 'run_id' in message && message.run_id !== 'nobody' ? { ...message, run_id: runId } : message;
        if (messageProblem(about) === undefined) hostile.send(about);
      }
      await until(() => hostile.connection.bufferedBytes === 0);
      const honest = await cluster.joined('v');
      const left = cluster.heard('node:left');
      hostile.send({ kind: 'goodbye', why: 'done' });
      if (hostile.closed !== undefined) cluster.manual.advance(3_000);
      await left;
      await honest.work();
      await honest.work();
      const result = await cluster.coordinator.wait(runId);
      assert.equal(result.status, 'completed', JSON.stringify(result.error));
      const next = await cluster.submit({ steps: steps(1) });
      await honest.work();
      assert.equal((await cluster.coordinator.wait(next)).status, 'completed');
      await cluster.close();
    }),
    { seed: 3, numRuns: 60 },
  );
});

it('a worker can not change what the step types of the product mean', async () => {
  const cluster = await Cluster.start();
  const hostile = await cluster.joined('x');
  const impossible = { type: 'raw_step', params_schema: { type: 'object', additionalProperties: false } };
  hostile.send({
    kind: 'manifest',
    adapters: [{ adapter_id: 'x', version: '1', step_types: [impossible] }],
    resources: {},
  });
  await until(() => cluster.coordinator.network().nodes.some(({ adapters }) => adapters.includes('x')));
  await cluster.submit({ steps: [{ id: 'a', type: 'raw_step', params: { x: 1 } }] });
  await cluster.close();
});

it('a flood of lies leaves no memory behind', async () => {
  const cluster = await Cluster.start();
  const hostile = await cluster.joined('x');
  const runId = await cluster.submit({ steps: steps(1) });
  const { assignment } = await hostile.next('assign');
  const stale = await hostile.result({ ...assignment, attempt: 77 }, 1);
  const flood = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      hostile.send(stale);
      hostile.send({ kind: 'log', ...assignment, level: 'info', text: 'x'.repeat(1_000), at: 0 });
      await hostile.next('ack');
    }
  };
  await flood(50);
  hostile.send(await hostile.result(assignment, 1));
  const result = await cluster.coordinator.wait(runId);
  assert.equal(result.status, 'completed');
  assert.equal(result.receipts.length, 1);
  await cluster.close();
});

it('whatever is submitted, it runs or is refused with a code', async () => {
  const engine = new DistributedEngine({ dataDir: false, adapters: [adapterOf(({ params }) => params)] });
  await engine.start();
  const value = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        '$a.result',
        '$b',
        '$a.x[0].y',
        '${a.result} and',
        '$input.x',
        '$$',
        '$nobody.x',
        'vault://none',
      ),
    },
    fc.jsonValue(),
  );
  const id = fc.constantFrom('a', 'b', 'c', 'd', 'toString', '__proto__', '9');
  const step = fc.record(
    {
      id,
      type: fc.constantFrom(
        'mock_compute',
        'raw_step',
        'transform_map',
        'transform_filter',
        'transform_reduce',
        'no_such',
      ),
      params: fc.dictionary(fc.constantFrom('input', 'key', 'value', 'operation', 'expression', '__proto__'), value),
      parent_step_ids: fc.array(id, { maxLength: 3 }),
      resource_requirements: fc.record(
        { ram_mb: fc.nat(), qubits: fc.nat(1), timeout_ms: fc.integer({ min: 1, max: 50 }) },
        { requiredKeys: [] },
      ),
      node_preference: fc.oneof(fc.string(), fc.constant({ require_node: 'nobody' })),
    },
    { requiredKeys: ['id', 'type'] },
  );
  const workflow = fc.oneof(
    {
      weight: 9,
      arbitrary: fc.record(
        {
          workflow: fc.string(),
          steps: fc.uniqueArray(step, { maxLength: 5, selector: ({ id: of }) => of }),
          distributed: fc.boolean(),
          fault_tolerance: fc.record(
            {
              retry_failed_steps: fc.boolean(),
              max_retries: fc.nat(2),
              backoff_ms: fc.constant(0),
              on_step_failure: fc.constantFrom('stop', 'continue'),
            },
            { requiredKeys: [] },
          ),
        },
        { requiredKeys: ['workflow', 'steps'] },
      ),
    },
    fc.anything(),
    fc.string(),
  );
  const statuses = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(workflow, fc.jsonValue(), async (given, input) => {
      let outcome: string;
      try {
        const { status } = await engine.execute(given, input as JSONValue);
        assert.ok(status === 'completed' || status === 'failed');
        outcome = status;
      } catch (thrown) {
        assert.ok(thrown instanceof JSONFlowError, String(thrown));
        assert.ok(['INVALID_WORKFLOW', 'INVALID_INPUT'].includes(thrown.code), thrown.code);
        outcome = thrown.code;
      }
      statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1);
    }),
    { seed: 9, numRuns: 400 },
  );
  assert.ok(
    statuses.has('completed') && statuses.has('failed') && statuses.has('INVALID_WORKFLOW'),
    'all ends were met',
  );
  const { runs, steps: counted } = engine.getStats();
  assert.deepEqual([runs.active, runs.queued, counted.running, counted.ready], [0, 0, 0, 0], 'nothing is left over');
  await engine.close();
});
