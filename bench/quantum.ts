// The state vector beside other simulators, in one run.
// Options: --qubits 8,12,16, --rounds N, --peers, --json
//
// Random circuits of depth 20: in each layer a u gate on every qubit, then a controlled X on random pairs of all; 1,000 shots of all qubits at the end.
// Ours is the whole: state, planning, gates, samples. So is that of the peers, as far as they say, without start-up and conversions:
//   naive             bench/quantum-peers/naive.c by the machine's C compiler, two threads; gates only
//   aer, qsim         by the python that JSONFLOW_QUANTUM_PYTHON names, where it has qiskit-aer or qsimcirq; the better of one thread and two
//   qsharp            qsharp-lang of npm, with its compilation, one shot; up to 12 qubits
//   quantum-circuit   of npm, no shots, up to 10 qubits; --peers installs it
// Each takes the least of some rounds, since machines have other things to do. Memory permitting: 26 qubits take 1 GiB in double precision.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type GateOperation, gateOn } from '../src/adapters/quantum/circuit/circuit.ts';
import { gateNamed, matrixOf } from '../src/adapters/quantum/circuit/gates.ts';
import { createRandom } from '../src/adapters/quantum/simulate/random.ts';
import { createStateVector } from '../src/adapters/quantum/statevector/state-vector.ts';

const { values } = parseArgs({
  options: {
    qubits: { type: 'string', default: '8,12,16,20,22,24' },
    rounds: { type: 'string', default: '5' },
    peers: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const shots = 1_000;
const depth = 20;
const folder = fileURLToPath(new URL('./quantum-peers/', import.meta.url));

type PlainGate = ['u', number, number, number, number] | ['x', number, number];
type Precision = 'double' | 'single';

function randomCircuit(qubits: number): PlainGate[] {
  const random = createRandom(`bench ${qubits}`);
  const gates: PlainGate[] = [];
  const order = Array.from({ length: qubits }, (_, qubit) => qubit);
  for (let layer = 0; layer < depth; layer += 1) {
    for (let qubit = 0; qubit < qubits; qubit += 1)
      gates.push(['u', qubit, Math.PI * random.next(), 2 * Math.PI * random.next(), 2 * Math.PI * random.next()]);
    for (let at = qubits - 1; at > 0; at -= 1) {
      const other = Math.floor(random.next() * (at + 1));
      [order[at], order[other]] = [order[other] ?? 0, order[at] ?? 0];
    }
    for (let at = 0; at + 1 < qubits; at += 2) gates.push(['x', order[at] ?? 0, order[at + 1] ?? 0]);
  }
  return gates;
}

const ownGates = (gates: readonly PlainGate[]): GateOperation[] =>
  gates.map((gate) =>
    gate[0] === 'u'
      ? gateOn(gateNamed('u', gate[2], gate[3], gate[4]), [gate[1]])
      : gateOn(gateNamed('x'), [gate[2]], [{ qubit: gate[1], value: 1 }]),
  );

/** The least ms of some rounds. */
async function least(count: number, run: () => void | Promise<void>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < count; round += 1) {
    const began = performance.now();
    await run();
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

function ours(qubits: number, gates: readonly PlainGate[], precision: Precision, strict: boolean): Promise<number> {
  const all = Array.from({ length: qubits }, (_, qubit) => qubit);
  return least(qubits <= 16 ? 20 * rounds : rounds, () => {
    const state = createStateVector({ qubits, precision, strict });
    // Gates of its own each round, so that no plan is kept.
    state.apply(ownGates(gates));
    state.sample(all, shots, createRandom('shots'));
    state.release();
  });
}

type Naive = (qubits: number, gates: readonly PlainGate[]) => number;

/** Compiled where there is a compiler. */
function compileNaive(precision: Precision, work: string): Naive | undefined {
  const program = join(work, `naive-${precision}`);
  const real = `-DREAL=${precision === 'double' ? 'double' : 'float'}`;
  const flags = ['-O3', '-march=native', '-pthread', real, join(folder, 'naive.c'), '-o', program, '-lm'];
  if (spawnSync(process.env.CC ?? 'cc', flags, { stdio: 'ignore' }).status !== 0) return undefined;
  return (qubits, gates) => {
    const lines = gates.map((gate) => {
      if (gate[0] === 'x') return gate.join(' ');
      return `u ${gate[1]} ${matrixOf(gateNamed('u', gate[2], gate[3], gate[4])).data.join(' ')}`;
    });
    const seconds = Array.from({ length: qubits > 22 ? 1 : rounds }, () =>
      Number(spawnSync(program, [String(qubits)], { input: lines.join('\n'), encoding: 'utf8' }).stdout),
    );
    return 1_000 * Math.min(...seconds);
  };
}

function python(
  simulator: string,
  qubits: number,
  precision: Precision,
  gates: readonly PlainGate[],
): number | undefined {
  const command = process.env.JSONFLOW_QUANTUM_PYTHON;
  if (command === undefined) return undefined;
  const request = { simulator, qubits, precision, shots, rounds: qubits > 22 ? 1 : rounds, gates };
  const { status, stdout } = spawnSync(command, [join(folder, 'simulators.py')], {
    input: JSON.stringify(request),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return status === 0 ? 1_000 * (JSON.parse(stdout) as { seconds: number }).seconds : undefined;
}

interface QuantumCircuit {
  appendGate(name: string, wires: number | number[], options?: { params: Record<string, number> }): void;
  run(): void;
}

async function quantumCircuit(qubits: number, gates: readonly PlainGate[]): Promise<number | undefined> {
  if (qubits > 10) return undefined;
  if (values.peers && !existsSync(join(folder, 'node_modules')))
    spawnSync('npm', ['install', '--silent', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' });
  if (!existsSync(join(folder, 'node_modules', 'quantum-circuit'))) return undefined;
  const required: unknown = createRequire(join(folder, 'package.json'))('quantum-circuit');
  const Circuit = ((required as { default?: unknown }).default ?? required) as new (qubits: number) => QuantumCircuit;
  return least(2, () => {
    const circuit = new Circuit(qubits);
    for (const gate of gates)
      if (gate[0] === 'u')
        circuit.appendGate('u3', gate[1], { params: { theta: gate[2], phi: gate[3], lambda: gate[4] } });
      else circuit.appendGate('cx', [gate[1], gate[2]]);
    circuit.run();
  });
}

async function qsharp(qubits: number, gates: readonly PlainGate[]): Promise<number | undefined> {
  if (qubits > 12) return undefined;
  const { getCompiler, loadWasmModule, QscEventTarget } = await import('qsharp-lang');
  const wasm = readFileSync(new URL('../lib/web/qsc_wasm_bg.wasm', import.meta.resolve('qsharp-lang')));
  await loadWasmModule(new Uint8Array(wasm).buffer);
  const real = (value: number): string => value.toFixed(17);
  const lines = gates.map((gate) =>
    gate[0] === 'u'
      ? `Rz(${real(gate[4])}, q[${gate[1]}]); Ry(${real(gate[2])}, q[${gate[1]}]); Rz(${real(gate[3])}, q[${gate[1]}]);`
      : `CNOT(q[${gate[1]}], q[${gate[2]}]);`,
  );
  const source = `operation Main() : Result[] { use q = Qubit[${qubits}]; ${lines.join(' ')} return MResetEachZ(q); }`;
  const compiler = await getCompiler();
  const program = {
    sources: [['main.qs', source]] as [string, string][],
    languageFeatures: [],
    profile: 'unrestricted' as const,
  };
  return least(2, () => compiler.run(program, '', 1, new QscEventTarget(false)));
}

const work = mkdtempSync(join(tmpdir(), 'jsonflow-quantum-'));
const rows: Record<string, Record<string, number | undefined>> = {};
const say = (text: string): void => {
  if (!values.json) console.log(text);
};
const load = (): string =>
  loadavg()
    .map((value) => value.toFixed(2))
    .join(' ');
say(
  `Node ${process.version}, ${availableParallelism()} cores, load ${load()}; ms, the least of ${rounds} rounds and more`,
);
try {
  const naive = { double: compileNaive('double', work), single: compileNaive('single', work) };
  for (const qubits of values.qubits.split(',').map(Number)) {
    const gates = randomCircuit(qubits);
    rows[`${qubits} qubits, double`] = {
      ours: await ours(qubits, gates, 'double', true),
      relaxed: await ours(qubits, gates, 'double', false),
      naive: naive.double?.(qubits, gates),
      aer: python('aer', qubits, 'double', gates),
      qsharp: await qsharp(qubits, gates),
      'quantum-circuit': await quantumCircuit(qubits, gates),
    };
    rows[`${qubits} qubits, single`] = {
      ours: await ours(qubits, gates, 'single', true),
      relaxed: await ours(qubits, gates, 'single', false),
      naive: naive.single?.(qubits, gates),
      aer: python('aer', qubits, 'single', gates),
      qsim: python('qsim', qubits, 'single', gates),
    };
  }
} finally {
  rmSync(work, { recursive: true });
}
if (values.json) console.log(JSON.stringify(rows, null, 2));
else {
  const rounded = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : Math.round(value * 100) / 100;
  console.table(
    Object.fromEntries(
      Object.entries(rows).map(([name, row]) => [
        name,
        Object.fromEntries(
          Object.entries(row).flatMap(([peer, value]) => (value === undefined ? [] : [[peer, rounded(value)]])),
        ),
      ]),
    ),
  );
  console.log(`load ${load()}`);
}
