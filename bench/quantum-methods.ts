// Simulation methods for many qubits.
//
// With JSONFLOW_QUANTUM_PYTHON=/path/to/python that has qiskit-aer, the same circuits run there, too. Each time is the fastest of some runs of the
// whole: state, gates, all qubits measured 1,024 times.
import { spawnSync } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { type GateOperation, gateOn } from '../src/adapters/quantum/circuit/circuit.ts';
import { gateNamed } from '../src/adapters/quantum/circuit/gates.ts';
import { MpsState } from '../src/adapters/quantum/methods/mps/mps-state.ts';
import { SparseState } from '../src/adapters/quantum/methods/sparse/sparse-state.ts';
import type { FrameOperation } from '../src/adapters/quantum/methods/stabilizer/frame-program.ts';
import { FrameSampler } from '../src/adapters/quantum/methods/stabilizer/frame-sampler.ts';
import { StabilizerState } from '../src/adapters/quantum/methods/stabilizer/stabilizer-state.ts';
import { createRandom } from '../src/adapters/quantum/simulate/random.ts';
import type { State } from '../src/adapters/quantum/simulate/state.ts';

interface Case {
  name: string;
  qubits: number;
  gates: readonly GateOperation[];
  create: (qubits: number) => State;
  /** Its name in Aer, and how many shots are bearable there. */
  peer?: string;
  peerShots?: number;
  runs: number;
}

const shots = 1_024;
const all = (qubits: number): number[] => Array.from({ length: qubits }, (_, qubit) => qubit);
const cx = (control: number, target: number) => gateOn(gateNamed('x'), [target], [{ qubit: control, value: 1 }]);

const ghz = (qubits: number): GateOperation[] => [
  gateOn(gateNamed('h'), [0]),
  ...all(qubits - 1).map((qubit) => cx(qubit, qubit + 1)),
];

function clifford(qubits: number, gates: number): GateOperation[] {
  const random = createRandom('clifford');
  const draw = (below: number): number => Math.floor(random.next() * below);
  return Array.from({ length: gates }, () => {
    const [a, b] = [draw(qubits), draw(qubits - 1)];
    const single = (['h', 's', 'x'] as const)[draw(6)];
    return single ? gateOn(gateNamed(single), [a]) : cx(a, b < a ? b : b + 1);
  });
}

/** Layers of random turns and a CX on each second pair of neighbours. */
function brickwork(qubits: number, depth: number): GateOperation[] {
  const random = createRandom('brickwork');
  const angle = (): number => 2 * Math.PI * random.next();
  return all(depth).flatMap((layer) => [
    ...all(qubits).map((qubit) => gateOn(gateNamed('u', angle(), angle(), angle()), [qubit])),
    ...all(qubits - 1)
      .filter((qubit) => qubit % 2 === layer % 2)
      .map((qubit) => cx(qubit, qubit + 1)),
  ]);
}

const stabilizer = (qubits: number): State => new StabilizerState(qubits);
const mps = (qubits: number): State => new MpsState(qubits);

const cases: Case[] = [
  { name: 'GHZ-32, stabilizer', qubits: 32, gates: ghz(32), create: stabilizer, peer: 'stabilizer', runs: 30 },
  { name: 'GHZ-32, sparse', qubits: 32, gates: ghz(32), create: (qubits) => new SparseState(qubits), runs: 30 },
  { name: 'GHZ-32, MPS', qubits: 32, gates: ghz(32), create: mps, peer: 'matrix_product_state', runs: 30 },
  {
    name: 'Clifford, 1,000 qubits, 10,000 gates',
    qubits: 1_000,
    gates: clifford(1_000, 10_000),
    create: stabilizer,
    peer: 'stabilizer',
    // It measures qubit by qubit, shot by shot: seconds for each.
    peerShots: 1,
    runs: 3,
  },
  ...[6, 10, 12].map((depth) => ({
    name: `brickwork, 32 qubits, depth ${depth}, MPS`,
    qubits: 32,
    gates: brickwork(32, depth),
    create: mps,
    peer: 'matrix_product_state',
    runs: 3,
  })),
];

function fastest(runs: number, body: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run += 1) {
    const began = performance.now();
    body();
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

function measure({ qubits, gates, create, runs }: Case): { first: number; best: number } {
  const once = (): void => {
    const state = create(qubits);
    state.apply(gates);
    state.sample(all(qubits), shots, createRandom('bench'));
    state.release();
  };
  return { first: fastest(1, once), best: fastest(runs, once) };
}

/** A repetition code of distance 25 over 25 rounds, 0.1 % errors. */
function measureFrames(): number {
  const distance = 25;
  const noise = (qubit: number): FrameOperation => ({
    kind: 'pauli',
    qubits: [qubit],
    terms: ['X', 'Y', 'Z'].map((letters) => ({ letters, probability: 0.001 / 3 })),
  });
  let bit = 0;
  const measured = (qubit: number): FrameOperation => ({ kind: 'measure', qubit, bit: bit++ });
  const checks = all(distance - 1);
  const round = (): FrameOperation[] => [
    ...checks.flatMap((at) =>
      [at, at + 1].flatMap((qubit) => [cx(qubit, distance + at), noise(qubit), noise(distance + at)]),
    ),
    ...checks.flatMap((at): FrameOperation[] => [measured(distance + at), { kind: 'reset', qubit: distance + at }]),
  ];
  const operations = [...all(distance).flatMap(round), ...all(distance).map(measured)];
  const circuit = { qubits: 2 * distance - 1, bits: bit, operations };
  return fastest(3, () => new FrameSampler(circuit).sample(10_240, createRandom('bench')));
}

function onAer(python: string): Record<string, number> {
  const input = cases.flatMap(({ name, qubits, gates, peer, peerShots = shots, runs }) =>
    peer === undefined
      ? []
      : [{ name, method: peer, shots: peerShots, runs: Math.ceil(runs / 10), qasm: qasmOf(qubits, gates) }],
  );
  const { status, stdout, stderr } = spawnSync(python, ['bench/quantum-peers/aer-methods.py'], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    maxBuffer: 2 ** 24,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

const qasmOf = (qubits: number, gates: readonly GateOperation[]): string =>
  [
    'OPENQASM 2.0;\ninclude "qelib1.inc";',
    `qreg q[${qubits}];\ncreg c[${qubits}];`,
    ...gates.map(({ gate, targets, controls }) => {
      const name = gate.name === 'u' ? 'u3' : 'c'.repeat(controls.length) + gate.name;
      const params = gate.params.length > 0 ? `(${gate.params.join()})` : '';
      return `${name}${params} ${[...controls.map(({ qubit }) => qubit), ...targets].map((qubit) => `q[${qubit}]`)};`;
    }),
    'measure q -> c;',
  ].join('\n');

const rounded = (ms: number | undefined): number | string => (ms === undefined ? '–' : Number(ms.toPrecision(3)));

console.log(`Node ${process.version}, ${availableParallelism()} cores, load ${loadavg().map((x) => x.toFixed(2))}`);
const python = process.env.JSONFLOW_QUANTUM_PYTHON;
const ours = cases.map((one) => ({ ...one, ...measure(one) }));
const theirs = python === undefined ? {} : onAer(python);
console.table(
  ours.map(({ name, first, best, peerShots }) => ({
    circuit: `${name}, ${shots} shots`,
    'first run, ms': rounded(first),
    ms: rounded(best),
    ...(python === undefined
      ? {}
      : { 'Aer, ms': `${rounded(theirs[name])}${peerShots === undefined ? '' : ` (${peerShots} shot)`}` }),
  })),
);
console.log(`repetition code 25, 25 rounds, 0.1 % errors, Pauli frames, 10,240 shots: ${rounded(measureFrames())} ms`);
