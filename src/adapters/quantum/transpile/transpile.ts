import { StepError } from '../../../lib/errors.ts';
import type { Circuit, GateOperation, Operation } from '../circuit/circuit.ts';
import { depthOf } from '../circuit/measure.ts';
import { qubitsIn } from '../circuit/wires.ts';
import { DeviceGates, nameOf } from './device-gates.ts';
import { type DeviceGraph, deviceGraph, unreachable } from './device-graph.ts';
import { Emitter } from './emitter.ts';
import { greedyLayout, perfectLayout, type Weights } from './layout.ts';
import { lowered } from './lower.ts';
import { type Routed, route } from './route.ts';
import type { Target } from './target.ts';

export interface Transpiled {
  /** On the qubits of the device, with its gates only. */
  readonly circuit: Circuit;
  /** The device's qubit that holds each qubit of the circuit, before the first gate and after the last. */
  readonly layout: { readonly initial: readonly number[]; readonly final: readonly number[] };
  readonly facts: {
    readonly depthBefore: number;
    readonly depth: number;
    /** How many of each gate, bodies of branches included. */
    readonly gatesBefore: Readonly<Record<string, number>>;
    readonly gates: Readonly<Record<string, number>>;
    /** That were put in to bring qubits next to each other. */
    readonly swaps: number;
  };
}

/**
 * Writes a circuit with the gates of a device, on qubits that are next to each other. What it does is the same but for a phase of the
 * whole, which no measurement shows. Branches are written body by body. The same circuit and target give the same result.
 * @throws StepError INVALID_PARAMS (a target that is none), UNSUPPORTED_GATE (something that the device can't do), CIRCUIT_TOO_LARGE
 */
export function transpile(circuit: Circuit, target: Target): Transpiled {
  const gates = new DeviceGates(target);
  if (circuit.qubits > target.qubits)
    throw new StepError(
      'CIRCUIT_TOO_LARGE',
      `the circuit has ${circuit.qubits} qubits, the device ${target.qubits}: choose a larger device or a simulator`,
    );
  checkAllowed(circuit.operations, target);
  const plain = lowered(circuit.operations, new Set(target.basis));
  const { operations, initial, final, swaps } = place(plain, circuit.qubits, target);
  const written: Circuit = {
    qubits: target.qubits,
    registers: circuit.registers,
    operations: new Emitter(gates).write(operations),
  };
  return {
    circuit: written,
    layout: { initial, final },
    facts: {
      depthBefore: depthOf(circuit),
      depth: depthOf(written),
      gatesBefore: countsOf(circuit.operations),
      gates: countsOf(written.operations),
      swaps,
    },
  };
}

function checkAllowed(operations: readonly Operation[], target: Target): void {
  const measured = new Set<number>();
  for (const [at, operation] of operations.entries()) {
    const refuse = (what: string): StepError =>
      new StepError('UNSUPPORTED_GATE', `operations[${at}] is ${what}, which the device can't do; a simulator can`);
    if (operation.kind === 'loop' && target.loops === false) throw refuse('a loop on a condition');
    if (operation.kind === 'branch' && target.branches === false) throw refuse('a branch on measured bits');
    if (target.midCircuit !== false) continue;
    if (operation.kind === 'reset') throw refuse('a reset');
    if (operation.kind !== 'barrier' && qubitsIn(operation).some((qubit) => measured.has(qubit)))
      throw refuse(`${operation.kind === 'measure' ? 'a second measurement' : 'a gate'} of a qubit that was measured`);
    if (operation.kind === 'measure') measured.add(operation.qubit);
  }
}

interface Placed {
  readonly operations: readonly Operation[];
  readonly initial: readonly number[];
  readonly final: readonly number[];
  readonly swaps: number;
}

function place(operations: readonly Operation[], qubits: number, { coupling, qubits: places }: Target): Placed {
  const same = Array.from({ length: qubits }, (_, qubit) => qubit);
  if (coupling === undefined) return { operations, initial: same, final: same, swaps: 0 };
  const graph = deviceGraph(places, coupling);
  const weights = weightsOf(operations, qubits);
  const perfect = perfectLayout(weights, graph);
  if (perfect !== undefined) return placedAt(perfect, route(operations, perfect, graph));
  const starts = [greedyLayout(weights, graph)];
  const hangTogether = same.every((place) => graph.distance(0, place) !== unreachable);
  if (hangTogether) starts.push(same);
  const tries = starts.flatMap((start) => refined(operations, start, graph));
  return tries.reduce((best, one) => (one.swaps < best.swaps ? one : best));
}

const placedAt = (initial: readonly number[], { operations, layout, swaps }: Routed): Placed => ({
  operations,
  initial,
  final: layout,
  swaps,
});

/** Rounds in which the circuit is routed there and back: each layout at an end is a good one to begin with. */
const roundsMax = 3;
/** Operations that are routed in all rounds together, so that long circuits don't take long for little gain. */
const routedMax = 20_000;

function refined(operations: readonly Operation[], start: readonly number[], graph: DeviceGraph): Placed[] {
  const rounds = Math.max(1, Math.min(roundsMax, Math.floor(routedMax / operations.length)));
  const backwards = operations.toReversed();
  const tries: Placed[] = [];
  let layout = start;
  for (let round = 1; round <= rounds; round += 1) {
    const there = route(operations, layout, graph);
    tries.push(placedAt(layout, there));
    if (round < rounds) layout = route(backwards, there.layout, graph).layout;
  }
  return tries;
}

/** How often each pair of qubits meets, bodies of branches included. */
function weightsOf(operations: readonly Operation[], qubits: number): Weights {
  const weights = Array.from({ length: qubits }, () => new Map<number, number>());
  for (const gate of gatesIn(operations)) {
    const [a, b] = qubitsIn(gate);
    if (a === undefined || b === undefined) continue;
    weights[a]?.set(b, (weights[a]?.get(b) ?? 0) + 1);
    weights[b]?.set(a, (weights[b]?.get(a) ?? 0) + 1);
  }
  return weights;
}

function countsOf(operations: readonly Operation[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const gate of gatesIn(operations)) counts.set(nameOf(gate), (counts.get(nameOf(gate)) ?? 0) + 1);
  return Object.fromEntries(Array.from(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function* gatesIn(operations: readonly Operation[]): Generator<GateOperation> {
  for (const operation of operations) {
    if (operation.kind === 'gate') yield operation;
    if (operation.kind === 'branch') yield* gatesIn([...operation.body, ...operation.otherwise]);
    if (operation.kind === 'loop') yield* gatesIn(operation.body);
  }
}
