import { fields, flag, text, whole } from '../../kit/schema.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';
import { noiseSchema } from './simulate/parse-noise.ts';
import { methodNames } from './simulate/request.ts';

export const shotsDefault = 1024;
const shotsMax = 10_000_000;
/** Samples that a step gives one by one. */
export const samplesMax = 1_000_000;
const circuitTypes = ['custom', 'bell', 'ghz', 'qft', 'grover', 'qpe', 'feature_map', 'random'] as const;
export const exportForms = ['qasm2', 'qasm3', 'gates'] as const;
const textMax = 4 * 1024 * 1024;

/** Where a circuit comes from. */
const circuitParams: Readonly<Record<string, JSONObject>> = {
  circuit_type: {
    enum: [...circuitTypes],
    description: 'A circuit that has a name, or custom, with gates, qasm, cirq or qsharp. Default custom.',
  },
  gates: {
    type: 'array',
    items: { type: 'object' },
    description:
      'Gates in order, such as { "type": "H", "qubit": 0 } and { "type": "CNOT", "control": 0, "target": 1 }.',
  },
  qasm: text('The circuit as OpenQASM 2 or 3.', textMax),
  cirq: {
    anyOf: [{ type: 'string', minLength: 1, maxLength: textMax }, { type: 'object' }],
    description: "The circuit as Cirq's JSON.",
  },
  qsharp: text('A Q# program. Needs the package qsharp-lang.', textMax),
  qsharp_operation: text('What of the program is run, such as "Main()". Default its entry point.', 4096),
  qubits: whole('How many qubits. Default as many as are used.', 1, 4096),
  registers: {
    type: 'array',
    maxItems: 256,
    items: fields({ name: text('Name.', 64), size: whole('Bits.', 1, 4096) }, ['name', 'size']),
    description: 'Classical registers of a list of gates. Default one, c, of the measured bits.',
  },
  parameters: {
    type: 'object',
    additionalProperties: { type: 'number' },
    description: 'Values of the parameters that OpenQASM 3 and Cirq circuits leave open, by name.',
  },
  value: whole('qft: the basis state that is transformed. Default 0.', 0, 2 ** 32),
  inverse: flag('qft: the inverse transform. Default false.'),
  marked: {
    description: 'grover: what is searched for, as numbers or texts of bits. Default the state of ones.',
    anyOf: [
      { type: 'integer', minimum: 0 },
      { type: 'string', pattern: '^[01]+$' },
      {
        type: 'array',
        minItems: 1,
        maxItems: 1024,
        items: {
          anyOf: [
            { type: 'integer', minimum: 0 },
            { type: 'string', pattern: '^[01]+$' },
          ],
        },
      },
    ],
  },
  rounds: whole('grover: how many. Default the number after which it is found most likely.', 0, 100_000),
  phase: {
    type: 'number',
    description: 'qpe: the phase that is estimated, in turns. The qubits hold the answer; one more is used.',
  },
  depth: whole('random: layers. Default 20.', 1, 100_000),
  circuit_seed: text('random: what its gates follow from. Default the seed.'),
};

/** How it is simulated, and where. */
const executionParams: Readonly<Record<string, JSONObject>> = {
  backend: text(
    'qasm_simulator, statevector_simulator, simulator, or hardware: real_quantum_hardware, ionq or ibm. Default what the node is set up with.',
  ),
  method: { enum: [...methodNames], description: 'How it is simulated. Default automatic.' },
  shots: whole(`How often it is measured. Default ${shotsDefault}; 0 for exact results alone.`, 0, shotsMax),
  seed: {
    anyOf: [{ type: 'string', maxLength: 256 }, { type: 'integer' }],
    description: 'What the measurements follow from. Default the run and the step.',
  },
  noise: noiseSchema,
  precision: {
    enum: ['double', 'single'],
    description: 'Of amplitudes. Single takes half the memory. Default double.',
  },
  mode: {
    enum: ['strict', 'fast'],
    description: 'fast may differ between machines in the last digits, and promises nothing. Default strict.',
  },
  bond_dimension: whole('mps: the most that is kept between two qubits. Default 64.', 1, 4096),
  truncation: { type: 'number', minimum: 0, maximum: 1, description: 'mps: weights below are dropped. Default 1e-24.' },
};

/** Access to hardware. */
const hardwareParams: Readonly<Record<string, JSONObject>> = {
  provider: { enum: ['ionq', 'ibm'], description: 'Whose hardware. Default the one that the node is set up with.' },
  device: text('Name of the device, such as "qpu.aria-1" or "ibm_torino".'),
  token: text('API token, as vault://NAME.', 4096),
  instance: text('ibm: CRN of the service instance.', 1024),
  base_url: text("Of the provider's API, where it is not the public one.", 2048),
  iam_url: text('ibm: where API keys are exchanged for access tokens, where it is not IBM Cloud.', 2048),
};

const observables: JSONObject = {
  description:
    'Sums of Pauli matrices, qubit 0 rightmost: "ZZ", { "ZZ": 1, "XI": 0.5 }, or several by name. Their expectation values are given.',
  anyOf: [{ type: 'string' }, { type: 'object' }, { type: 'array' }],
};

export const stepTypes: StepTypeManifest[] = [
  {
    type: 'quantum_circuit',
    description: 'Runs a quantum circuit on a simulator or a device: counts, probabilities, and the state vector.',
    deterministic: true,
    params_schema: fields({
      ...circuitParams,
      ...executionParams,
      ...hardwareParams,
      input: {
        description: 'feature_map: a row of features per list, or objects with "features"; one feature per qubit.',
      },
      features: {
        enum: ['z', 'zz', 'probabilities'],
        description:
          'feature_map: expectations of Z per qubit, these and those of ZZ per pair, or all probabilities. Default zz.',
      },
      reps: whole('feature_map: layers. Default 2.', 1, 100),
      entanglement: { enum: ['full', 'linear', 'circular'], description: 'feature_map: which pairs. Default full.' },
      statevector: flag('Whether the state vector is given. Default where there are 10 qubits at most.'),
      observables,
      export: {
        description: 'The circuit in other languages, under "exports".',
        anyOf: [
          { enum: [...exportForms] },
          { type: 'array', items: { enum: [...exportForms] }, uniqueItems: true, maxItems: exportForms.length },
        ],
      },
    }),
  },
  {
    type: 'quantum_sample',
    description: 'Samples a quantum circuit: each measurement, their distribution, and expectation values.',
    deterministic: true,
    params_schema: fields({ ...circuitParams, ...executionParams, ...hardwareParams, observables }),
  },
  {
    type: 'quantum_optimize',
    description:
      'Finds the lowest energy of a Hamiltonian, a molecule or a graph problem with VQE or QAOA, on a simulator.',
    deterministic: true,
    params_schema: fields({
      algorithm: { enum: ['vqe', 'qaoa'], description: 'Default vqe.' },
      hamiltonian: {
        anyOf: [{ type: 'object' }, { type: 'array' }],
        description: 'A sum of Pauli matrices, such as { "ZZ": 1, "XI": 0.5 }, qubit 0 rightmost.',
      },
      molecule: {
        anyOf: [{ type: 'string' }, { type: 'object' }],
        description: 'H2 or H4, or { "name": "H2", "distance": 0.735 } in ångström.',
      },
      maxcut: { type: 'object', description: 'A graph: { "nodes": 3, "edges": [[0, 1], [1, 2, 0.5]] }.' },
      ising: { type: 'object', description: 'Spins: { "h": [0.5, -0.5], "J": [[0, 1, 1.0]] }.' },
      qubits: whole('How many qubits the Hamiltonian has. Default as many as it names.', 1, 64),
      ansatz: {
        anyOf: [{ type: 'string' }, { type: 'object' }],
        description:
          'hardware_efficient, uccsd or qaoa, or an object with its settings. Default what fits the problem.',
      },
      layers: whole('Of the ansatz.', 0, 100),
      optimizer: {
        anyOf: [{ type: 'string' }, { type: 'object' }],
        description: 'nelder_mead, spsa or lbfgs, or an object with its settings. Default lbfgs; with shots spsa.',
      },
      initial_parameters: {
        anyOf: [{ enum: ['default', 'random'] }, { type: 'array', items: { type: 'number' } }],
        description: 'Where the optimizer begins.',
      },
      starts: whole('Runs of the optimizer; the best counts. Default 1.', 1, 100),
      shots: whole('Measurements of each group of terms. Default exact energies.', 1, shotsMax),
      samples: whole('Measurements of the state that is found. Default 1,024.', 1, shotsMax),
      seed: executionParams.seed ?? {},
      reference: flag('Whether the exact lowest energy is given beside. Default false.'),
      backend: text('A simulator. Default what the node is set up with.'),
    }),
  },
];
