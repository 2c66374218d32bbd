// The reference document's quantum examples, run by a coordinator and a quantum worker as they are written there, with training data in the place of
// its comment, and the tests' PostgreSQL in that of its database on localhost.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { DistributedEngine } from '../../../src/compose/distributed-engine.ts';
import { verifyBundle } from '../../../src/core/receipt/verify.ts';
import { QuantumAdapter } from '../../../src/doors/quantum-adapter.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import type { Workflow } from '../../../src/protocol/workflow.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith } from '../../support/services.ts';

const trainingData = [
  { features: [0.2, 0.4, 0.1, 0.3], label: 0 },
  { features: [0.3, 0.5, 0.2, 0.1], label: 0 },
  { features: [2.2, 1.9, 2.4, 2.0], label: 1 },
  { features: [2.0, 2.1, 2.3, 2.2], label: 1 },
];

const example1 = (connection: string): Workflow => ({
  workflow: 'quantum_ml_pipeline',
  version: '1.0.0',
  distributed: true,
  steps: [
    { id: 'prepare_data', type: 'transform_map', params: { input: trainingData }, node_preference: 'any' },
    {
      id: 'quantum_feature_map',
      type: 'quantum_circuit',
      params: { circuit_type: 'feature_map', qubits: 4, input: '$prepare_data.result' },
      resource_requirements: { qubits: 4, backend: 'simulator' },
      node_preference: 'quantum_capable',
      parent_step_ids: ['prepare_data'],
    },
    {
      id: 'classical_training',
      type: 'wasm_execute',
      params: { module: 'ml_training.wasm', function: 'train_model', input: '$quantum_feature_map.result' },
      resource_requirements: { ram_mb: 4096, cpu_cores: 4 },
      node_preference: 'high_compute',
      parent_step_ids: ['quantum_feature_map'],
    },
    {
      id: 'store_model',
      type: 'db_insert',
      params: { connection, table: 'trained_models', data: '$classical_training.result' },
      parent_step_ids: ['classical_training'],
    },
  ],
});

const coordinator = new DistributedEngine({
  nodeId: 'coordinator-1',
  role: 'coordinator',
  port: 0,
  dataDir: false,
  capabilities: { adapters: ['database', 'transform'] },
  coordinator: { unschedulableAfterMs: 200 },
});
let quantumWorker: DistributedEngine | undefined;

before(async () => {
  await coordinator.start();
  quantumWorker = new DistributedEngine({
    nodeId: 'worker-quantum-1',
    role: 'worker',
    connect: coordinator.url ?? '',
    dataDir: false,
    capabilities: {
      adapters: ['quantum', 'wasm', 'transform'],
      resources: { qubits: 8, ram_mb: 16384, cpu_cores: 16 },
    },
  });
  await quantumWorker.start();
});
after(async () => {
  await quantumWorker?.close();
  await coordinator.close();
});

describeWith('postgres', 'example 1: a quantum-classical pipeline', () => {
  it('maps features on the quantum worker, trains a model, stores it, and is verified and replayed', async () => {
    const { url, drop } = await freshDatabase('postgres');
    after(drop);
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    // One column for each thing that the module tells of its model.
    await database.query(`create table trained_models (
      kind text, features int, samples int, epochs int, initial_loss float8, final_loss float8, losses jsonb, accuracy float8,
      model jsonb)`);
    const result = await coordinator.execute(example1(url));
    assert.equal(result.status, 'completed', JSON.stringify(result.error));
    const placed = Object.fromEntries(result.execution_trace.timeline.map(({ step_id, node }) => [step_id, node]));
    assert.equal(placed.quantum_feature_map, 'worker-quantum-1');
    assert.equal(placed.store_model, 'coordinator-1');
    const { rows } = await database.query('select * from trained_models');
    await database.end();
    assert.equal(rows.length, 1);
    assert.equal(rows[0].samples, 4);
    assert.ok(rows[0].final_loss < rows[0].initial_loss);
    const bundle = await coordinator.api.bundle(result.run_id);
    const report = verifyBundle(bundle, { trust: await coordinator.api.trust() });
    assert.ok(report.ok && report.pinned, JSON.stringify(report.problems));
  });
});

it('a circuit of more qubits than any node has is not begun, and the reason is told', async () => {
  const { status, error } = await coordinator.execute({
    workflow: 'large',
    steps: [{ id: 'ghz', type: 'quantum_circuit', params: { circuit_type: 'ghz', qubits: 9 } }],
  });
  assert.deepEqual([status, error?.code], ['failed', 'UNSCHEDULABLE']);
  assert.match(String(error?.message), /worker-quantum-1 has 8 qubits, the step needs 9/);
});

it('the adapter’s example, with the adapter made and registered as it is written there', async () => {
  const adapter = new QuantumAdapter({ backend: 'qasm_simulator', max_qubits: 32 });
  const engine = new DistributedEngine({ dataDir: false });
  engine.registerAdapter(adapter);
  const { status, max_qubits } = await adapter.healthCheck();
  assert.deepEqual([status, max_qubits], ['ok', 32]);
  const result = await engine.execute({
    workflow: 'bell',
    steps: [
      {
        id: 'quantum_step',
        type: 'quantum_circuit',
        params: {
          circuit_type: 'custom',
          gates: [
            { type: 'H', qubit: 0 },
            { type: 'CNOT', control: 0, target: 1 },
            { type: 'Measure', qubits: [0, 1] },
          ],
          shots: 1000,
          backend: 'qasm_simulator',
        },
        resource_requirements: { qubits: 2, backend: 'simulator' },
      },
    ],
  });
  assert.equal(result.status, 'completed', JSON.stringify(result.error));
  const { counts, statevector } = result.outputs.quantum_step as JSONObject;
  assert.deepEqual(Object.keys(counts as object).sort(), ['00', '11']);
  assert.equal((statevector as number[]).length, 4);
  assert.ok((await engine.replay(await engine.api.bundle(result.run_id))).verified);
  await engine.close();
});
