import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Circuit, gateOn, type Operation } from '../../../../src/adapters/quantum/circuit/circuit.ts';
import { gateNamed } from '../../../../src/adapters/quantum/circuit/gates.ts';
import { bell, ghz, qft } from '../../../../src/adapters/quantum/circuit/library.ts';
import { createEgress } from '../../../../src/egress/egress.ts';
import { StepError } from '../../../../src/lib/errors.ts';
import { failsWith } from '../../network/support.ts';
import { outcomeOf } from './contract.ts';
import { contracts, runStep, submissions } from './support.ts';

/** Half the sum of the differences of shares. */
function distance(left: Readonly<Record<string, number>>, right: Readonly<Record<string, number>>): number {
  const sum = (of: Readonly<Record<string, number>>): number => Object.values(of).reduce((so, one) => so + one, 0);
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return Array.from(keys).reduce(
    (so, key) => so + Math.abs((left[key] ?? 0) / sum(left) - (right[key] ?? 0) / sum(right)) / 2,
    0,
  );
}

/** Qubits and bits in another order than each other, two registers, a qubit that is not measured. */
const crossed: Circuit = {
  qubits: 4,
  registers: [
    { name: 'if', size: 2 },
    { name: 'b', size: 1 },
  ],
  operations: [
    gateOn(gateNamed('x'), [0]),
    gateOn(gateNamed('ry', 1), [3]),
    gateOn(gateNamed('h'), [1]),
    gateOn(
      gateNamed('x'),
      [2],
      [
        { qubit: 1, value: 0 },
        { qubit: 0, value: 1 },
      ],
    ),
    { kind: 'measure', qubit: 0, bit: 2 },
    { kind: 'measure', qubit: 2, bit: 0 },
    { kind: 'measure', qubit: 3, bit: 1 },
  ],
};

for (const { name, open, config } of contracts) {
  test(`${name}: circuits run and are measured as on a simulator`, async () => {
    await using server = await open();
    for (const [at, circuit] of [bell(), ghz(5), qft(4, { value: 5 }), crossed].entries()) {
      const { outcome, saved } = runStep(config(server), circuit, { key: `run/${at}`, shots: 4000 });
      const { counts, job, transpiled } = await outcome;
      assert.equal(
        Object.values(counts).reduce((sum, count) => sum + count, 0),
        4000,
      );
      const expected = outcomeOf(circuit, 4000).probabilities ?? {};
      assert.ok(distance(counts, expected) < 0.05, JSON.stringify([counts, expected]));
      assert.equal(job.provider, name);
      assert.ok((transpiled?.facts.depth ?? 0) > 0);
      assert.equal(saved.length, 1);
    }
    assert.deepEqual(server.breaches, []);
    assert.equal(submissions(server), 4);
  });

  test(`${name}: a circuit that measures nothing is measured whole`, async () => {
    await using server = await open();
    const operations: Operation[] = [gateOn(gateNamed('x'), [1])];
    const { counts } = await runStep(config(server), { qubits: 2, registers: [], operations }).outcome;
    assert.deepEqual(counts, { '10': 400 });
  });

  test(`${name}: while a job waits and runs, that is reported`, async () => {
    await using server = await open();
    server.plan = { ahead: 3, left: 2, ends: 'completed' };
    const { outcome, notes } = runStep(config(server), bell());
    await outcome;
    const id = server.jobs[0]?.id ?? '';
    assert.ok(notes.every((note) => note.includes(id)));
    assert.match(notes[0] ?? '', name === 'ibm' ? /waits at place 3 of the queue/ : /waits, about 2 s/);
    assert.match(notes.at(-1) ?? '', /is running/);
  });

  test(`${name}: a job that fails there fails the step, in the provider's words but without the token`, async () => {
    await using server = await open();
    server.plan = { ahead: 0, left: 0, ends: 'failed' };
    const { token } = config(server);
    const said = await failsWith('QUANTUM_JOB_FAILED', runStep(config(server), bell()).outcome, false);
    assert.match(
      said,
      name === 'ibm' ? /code 1002; Error in the validation/ : /CompilationError: circuit of .* key \*\*\*/,
    );
    assert.ok(!said.includes(token));
  });

  test(`${name}: a wrong token is told as that, once, and not repeated`, async () => {
    await using server = await open();
    const token = 'wrong-token-99';
    const said = await failsWith('QUANTUM_UNAUTHORIZED', runStep({ ...config(server), token }, bell()).outcome, false);
    assert.ok(!said.includes(token), said);
    assert.equal(server.calls.length, 1);
    assert.deepEqual(server.breaches, []);
  });

  test(`${name}: what can not run there is refused before anything is submitted`, async () => {
    await using server = await open();
    const loop: Operation = { kind: 'loop', condition: { kind: 'bits', bits: [0] }, body: [] };
    const looping: Circuit = {
      qubits: 1,
      registers: [{ name: 'c', size: 1 }],
      operations: [loop, { kind: 'measure', qubit: 0, bit: 0 }],
    };
    await failsWith('UNSUPPORTED_GATE', runStep(config(server), looping).outcome, false);
    await failsWith('CIRCUIT_TOO_LARGE', runStep(config(server), ghz(40)).outcome, false);
    await failsWith('INVALID_PARAMS', runStep(config(server), bell(), { shots: 0 }).outcome, false);
    await failsWith('INVALID_PARAMS', runStep(config(server), bell(), { shots: 2_000_000 }).outcome, false);
    const without = await failsWith(
      'INVALID_PARAMS',
      runStep({ ...config(server), device: undefined }, bell()).outcome,
    );
    assert.match(without, name === 'ibm' ? /ibm_today \(7 qubits, online\)/ : /qpu\.forte-1 \(36 qubits, available\)/);
    const unknown = runStep({ ...config(server), device: 'elsewhere' }, bell()).outcome;
    await failsWith('QUANTUM_REJECTED', unknown, false);
    assert.equal(server.jobs.length, 0);
  });

  test(`${name}: troubles on the way are waited out, and no job is submitted twice`, async () => {
    await using server = await open();
    const path = name === 'ibm' ? 'job0' : '[0-9a-f-]{36}';
    server.troubles = [
      { on: /^GET \/jobs$/, how: { status: 503 } },
      { on: /^GET \/backends/, how: 'break' },
      { on: /^POST \/jobs$/, how: { status: 429, headers: { 'retry-after': '0' }, body: { message: 'slow down' } } },
      { on: /^POST \/jobs$/, how: 'lose answer' },
      { on: new RegExp(`^GET /jobs/${path}$`), how: { status: 502 } },
      { on: new RegExp(`^GET /jobs/${path}$`), how: 'hang' },
      { on: /results/, how: { status: 500, body: { message: 'oops' } } },
    ];
    const { counts } = await runStep(config(server), bell(), { options: { timeoutMs: 200 } }).outcome;
    assert.deepEqual(Object.keys(counts).sort(), ['00', '11']);
    assert.deepEqual(server.troubles, []);
    assert.equal(server.jobs.length, 1);
    // One was turned away, one was done.
    assert.equal(submissions(server), 2);
  });

  test(`${name}: what goes on going wrong ends the attempt, but not the job`, async () => {
    await using server = await open();
    server.plan = { ahead: 1000, left: 0, ends: 'completed' };
    const id = name === 'ibm' ? 'job0' : '[0-9a-f-]{36}';
    server.troubles = Array.from({ length: 20 }, () => ({ on: new RegExp(`^GET /jobs/${id}$`), how: { status: 503 } }));
    await failsWith('QUANTUM_UNREACHABLE', runStep(config(server), bell()).outcome, true);
    assert.equal(server.jobs[0]?.state, 'queued');
    server.troubles = Array.from({ length: 20 }, () => ({ on: /^GET \/jobs/, how: { status: 429 } }));
    await failsWith('QUANTUM_BUSY', runStep(config(server), bell()).outcome, true);
    server.troubles = [];
    server.plan.ends = 'completed';
    for (const job of server.jobs) job.ahead = 0;
    await runStep(config(server), bell()).outcome;
    assert.equal(submissions(server), 1);
  });

  test(`${name}: a step that is cancelled or out of time cancels its job`, async () => {
    for (const code of ['STEP_CANCELLED', 'STEP_TIMEOUT']) {
      await using server = await open();
      server.plan = { ahead: 1_000_000, left: 0, ends: 'completed' };
      const stop = new AbortController();
      const { outcome, notes } = runStep(config(server), bell(), { signal: stop.signal });
      const failed = failsWith(code, outcome);
      while (notes.length === 0) await new Promise((resolve) => setImmediate(resolve));
      stop.abort(new StepError(code, 'enough'));
      await failed;
      assert.equal(server.jobs[0]?.state, 'cancelled');
      assert.deepEqual(server.breaches, []);
    }
  });

  test(`${name}: a step that is cancelled while it submits cancels the job that comes into being`, async () => {
    await using server = await open();
    const stop = new AbortController();
    const { outcome } = runStep(config(server), bell(), { signal: stop.signal });
    const failed = failsWith('STEP_CANCELLED', outcome);
    while (!server.calls.includes('POST /jobs')) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new StepError('STEP_CANCELLED', 'enough'));
    await failed;
    while (server.jobs[0]?.state !== 'cancelled') await new Promise((resolve) => setImmediate(resolve));
  });

  test(`${name}: a job that someone else cancels ends the step`, async () => {
    await using server = await open();
    server.plan = { ahead: 1_000_000, left: 0, ends: 'completed' };
    const { outcome, notes } = runStep(config(server), bell());
    const failed = failsWith('QUANTUM_JOB_CANCELLED', outcome, false);
    while (notes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const job of server.jobs) job.state = 'cancelled';
    await failed;
  });

  test(`${name}: answers that are none are told as that`, async () => {
    for (const [on, body] of [
      [/^GET \/jobs$/, 'busy'],
      [/^GET \/backends/, { devices: 5 }],
      [/^POST \/jobs$/, {}],
      [/^GET \/jobs\/[0-9a-z-]+$/, { state: 'odd' }],
      [/results/, { results: [] }],
      [/results/, { '-1': 0.5 }],
    ] as const) {
      await using server = await open();
      server.troubles = [{ on, how: { status: 200, body: body as never } }];
      await failsWith('QUANTUM_RESPONSE_INVALID', runStep(config(server), bell()).outcome, false);
    }
  });

  test(`${name}: the token goes to the provider alone`, async () => {
    await using server = await open();
    await using elsewhere = await open();
    server.troubles = [{ on: /^GET \/jobs$/, how: { status: 307, headers: { location: `${elsewhere.url}/jobs` } } }];
    await failsWith('QUANTUM_RESPONSE_INVALID', runStep(config(server), bell()).outcome, false);
    assert.deepEqual(elsewhere.calls, []);
    const refused = { options: { egress: createEgress(), reach: 'public' as const } };
    await failsWith('EGRESS_DENIED', runStep(config(server), bell(), refused).outcome, false);
    for (const baseUrl of ['http://api.example.com', 'ftp://127.0.0.1', 'no url', `${server.url}?a=b`])
      await failsWith('INVALID_PARAMS', runStep({ ...config(server), baseUrl }, bell()).outcome, false);
    const token = 'line\r\nx-other: 1';
    await failsWith('INVALID_PARAMS', runStep({ ...config(server), token }, bell()).outcome, false);
  });
}
