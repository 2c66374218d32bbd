import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Circuit, gateOn } from '../../../../src/adapters/quantum/circuit/circuit.ts';
import { gateNamed } from '../../../../src/adapters/quantum/circuit/gates.ts';
import { bell, qft } from '../../../../src/adapters/quantum/circuit/library.ts';
import { failsWith } from '../../network/support.ts';
import { ibmCrn, ibmKey, ibmServer } from './ibm-server.ts';
import { runStep } from './support.ts';

const configFor = ({ url, iamUrl }: { url: string; iamUrl: string }, device = 'ibm_today') =>
  ({ provider: 'ibm', token: ibmKey, device, instance: ibmCrn, baseUrl: url, iamUrl }) as const;

test('ibm: gates of two qubits go the way that the device has them', async () => {
  await using server = await ibmServer();
  const { counts } = await runStep(configFor(server, 'ibm_before'), qft(5, { value: 0 }), { shots: 20_000 }).outcome;
  assert.equal(Object.keys(counts).length, 32);
  assert.deepEqual(server.breaches, []);
});

/** A qubit is brought to where another one was measured to be. */
const branching: Circuit = {
  qubits: 2,
  registers: [
    { name: 'first', size: 1 },
    { name: 'second', size: 1 },
  ],
  operations: [
    gateOn(gateNamed('h'), [0]),
    { kind: 'measure', qubit: 0, bit: 0 },
    { kind: 'branch', condition: { kind: 'bits', bits: [0] }, body: [gateOn(gateNamed('x'), [1])], otherwise: [] },
    { kind: 'reset', qubit: 0 },
    { kind: 'measure', qubit: 1, bit: 1 },
  ],
};

test('ibm: branches and resets run where the device has them, and are refused elsewhere', async () => {
  await using server = await ibmServer();
  const { counts } = await runStep(configFor(server), branching).outcome;
  assert.deepEqual(Object.keys(counts), ['0 0', '1 1']);
  await failsWith('UNSUPPORTED_GATE', runStep(configFor(server, 'ibm_before'), branching, { key: 'x' }).outcome, false);
  assert.deepEqual(server.breaches, []);
});

test('ibm: an access token is asked for once, and anew when it has run out', async () => {
  await using server = await ibmServer();
  server.plan = { ahead: 1_000_000, left: 0, ends: 'completed' };
  const { outcome, notes } = runStep(configFor(server), bell());
  while (notes.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(server.calls.filter((call) => call === 'POST /identity/token').length, 1);
  server.expire();
  for (const job of server.jobs) job.ahead = 0;
  await outcome;
  assert.equal(server.calls.filter((call) => call === 'POST /identity/token').length, 2);
  assert.deepEqual(server.breaches, []);
});

test('ibm: an instance is needed, and one that is not ours is told as that', async () => {
  await using server = await ibmServer();
  for (const instance of [undefined, 'no crn', 'crn:v1:a b'])
    await failsWith('INVALID_PARAMS', runStep({ ...configFor(server), instance }, bell()).outcome, false);
  const other = runStep({ ...configFor(server), instance: 'crn:v1:other' }, bell()).outcome;
  assert.match(await failsWith('QUANTUM_UNAUTHORIZED', other, false), /The instance is not accessible/);
});
