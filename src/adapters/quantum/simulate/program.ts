import {
  bitsOf,
  type Circuit,
  type Expression,
  type GateOperation,
  gateOn,
  type Operation,
  type Register,
  type ResetOperation,
} from '../circuit/circuit.ts';
import { measures } from '../circuit/measure.ts';
import { bitsRead } from '../circuit/wires.ts';
import { type ChannelForm, formOf } from './channel.ts';
import type { NoiseModel, NoiseRule, ReadoutError } from './noise-model.ts';

/** A circuit with its noise written out where it acts. */
export interface Program {
  readonly qubits: number;
  readonly bits: number;
  readonly steps: readonly Step[];
  /** At the end, of a state that nothing changes any more: all are measured together. Each bit is written by one of them at most. */
  readonly readouts: readonly MeasureStep[];
}

export type Step = GateOperation | MeasureStep | ResetOperation | NoiseStep | BranchStep | LoopStep;

export interface MeasureStep {
  readonly kind: 'measure';
  readonly qubit: number;
  readonly bit: number;
  readonly misread?: Misread;
}

export type Misread = Pick<ReadoutError, 'oneGivenZero' | 'zeroGivenOne'>;

export interface NoiseStep {
  readonly kind: 'noise';
  readonly after: NoiseRule['after'];
  readonly form: ChannelForm;
  readonly qubits: readonly number[];
}

interface BranchStep {
  readonly kind: 'branch';
  readonly condition: Expression;
  readonly body: readonly Step[];
  readonly otherwise: readonly Step[];
}

export interface LoopStep {
  readonly kind: 'loop';
  readonly condition: Expression;
  readonly body: readonly Step[];
}

/** The registers of the counts: those of the circuit, or one for all of its qubits where it measures none. */
export const registersOf = (circuit: Circuit): readonly Register[] =>
  measures(circuit.operations) ? circuit.registers : [{ name: 'c', size: circuit.qubits }];

/** The circuit with noise, which is measured as a whole where it measures nothing itself. */
export function programOf(circuit: Circuit, noise: NoiseModel = { rules: [], readout: [] }): Program {
  const all = Array.from({ length: circuit.qubits }, (_, qubit): Operation => ({ kind: 'measure', qubit, bit: qubit }));
  const operations = measures(circuit.operations) ? circuit.operations : [...circuit.operations, ...all];
  const { steps, readouts } = splitReadouts(withoutFirstResets(stepsOf(operations, noise)));
  return { qubits: circuit.qubits, bits: bitsOf({ registers: registersOf(circuit) }), steps, readouts };
}

function stepsOf(operations: readonly Operation[], noise: NoiseModel): Step[] {
  const places = noise.rules.map(placesOf);
  const after = (kind: NoiseRule['after'], qubits: readonly number[], name?: string): NoiseStep[] =>
    places.flatMap((place) => place(kind, qubits, name));
  const one = (operation: Operation): Step[] => {
    switch (operation.kind) {
      case 'gate':
        return [operation, ...after('gate', qubitsOf(operation), nameOf(operation))];
      case 'measure': {
        const misread = noise.readout.findLast(({ qubits }) => qubits?.includes(operation.qubit) ?? true);
        const step = misread === undefined ? operation : { ...operation, misread };
        return [step, ...after('measure', [operation.qubit])];
      }
      case 'reset':
        return [operation, ...after('reset', [operation.qubit])];
      case 'barrier':
        return [];
      case 'branch':
        return [{ ...operation, body: operation.body.flatMap(one), otherwise: operation.otherwise.flatMap(one) }];
      case 'loop':
        return [{ ...operation, body: operation.body.flatMap(one) }];
    }
  };
  return operations.flatMap(one);
}

/** What a rule adds after an operation. */
function placesOf(
  rule: NoiseRule,
): (kind: NoiseRule['after'], qubits: readonly number[], name?: string) => NoiseStep[] {
  const { after, channel, gates, gateQubits } = rule;
  const forms = [0, 1, 2].map((qubits) => (qubits === 0 ? undefined : formOf(channel, qubits)));
  const has = (qubit: number): boolean => rule.qubits?.includes(qubit) ?? true;
  return (kind, qubits, name) => {
    if (kind !== after || (gateQubits ?? qubits.length) !== qubits.length) return [];
    if (gates !== undefined && (name === undefined || !gates.includes(name))) return [];
    // A channel over one qubit acts on each of the gate's, one over two on gates over two.
    const isJoint = channel.kind === 'depolarizing' ? qubits.length === 2 : channel.qubits === 2;
    const joint = qubits.length === 2 && qubits.every(has) ? [qubits] : [];
    const on = isJoint ? joint : qubits.filter(has).map((qubit) => [qubit]);
    return on.flatMap((these): NoiseStep[] => {
      const form = forms[these.length];
      return form === undefined ? [] : [{ kind: 'noise', after, form, qubits: these }];
    });
  };
}

/** Controls first, as in the names: `cx` has its control, then its target. */
export const qubitsOf = ({ targets, controls }: GateOperation): readonly number[] => [
  ...controls.map(({ qubit }) => qubit),
  ...targets,
];

const nameOf = ({ gate, controls }: GateOperation): string => 'c'.repeat(controls.length) + gate.name;

/** Qubits are |0⟩ to begin with. */
function withoutFirstResets(steps: readonly Step[]): Step[] {
  const touched = new Set<number>();
  return steps.filter((step) => {
    if (step.kind === 'reset' && !touched.has(step.qubit)) return false;
    for (const qubit of reachOf([step]).qubits) touched.add(qubit);
    return true;
  });
}

/** Takes measurements from the end that nothing after depends on, which may then be done together. */
function splitReadouts(steps: readonly Step[]): Pick<Program, 'steps' | 'readouts'> {
  const used = new Set<number>();
  const written = new Set<number>();
  const read = new Set<number>();
  const kept: Step[] = [];
  const readouts: MeasureStep[] = [];
  for (const step of steps.toReversed()) {
    // What a measurement does to its qubit besides changes nothing that is looked at later.
    if (step.kind === 'noise' && step.after === 'measure' && !step.qubits.some((qubit) => used.has(qubit))) continue;
    if (step.kind === 'measure' && !used.has(step.qubit) && !read.has(step.bit)) {
      if (!written.has(step.bit)) readouts.push(step);
      written.add(step.bit);
      continue;
    }
    const reach = reachOf([step]);
    for (const qubit of reach.qubits) used.add(qubit);
    for (const bit of reach.bits) read.add(bit);
    kept.push(step);
  }
  return { steps: kept.reverse(), readouts: readouts.reverse() };
}

/** All qubits and bits that steps touch or look at, bodies included. */
export function reachOf(steps: readonly Step[]): { qubits: Set<number>; bits: Set<number> } {
  const reach = { qubits: new Set<number>(), bits: new Set<number>() };
  collect(steps, reach);
  return reach;
}

function collect(steps: readonly Step[], reach: { qubits: Set<number>; bits: Set<number> }): void {
  for (const step of steps)
    switch (step.kind) {
      case 'gate':
        for (const qubit of qubitsOf(step)) reach.qubits.add(qubit);
        break;
      case 'measure':
        reach.qubits.add(step.qubit);
        reach.bits.add(step.bit);
        break;
      case 'reset':
        reach.qubits.add(step.qubit);
        break;
      case 'noise':
        for (const qubit of step.qubits) reach.qubits.add(qubit);
        break;
      case 'branch':
        for (const bit of bitsRead(step.condition)) reach.bits.add(bit);
        collect(step.body, reach);
        collect(step.otherwise, reach);
        break;
      case 'loop':
        for (const bit of bitsRead(step.condition)) reach.bits.add(bit);
        collect(step.body, reach);
        break;
    }
}

/** The same steps with other numbers for qubits and bits. */
export function renumber(
  steps: readonly Step[],
  qubitAt: (qubit: number) => number,
  bitAt: (bit: number) => number,
): Step[] {
  const gate = (operation: GateOperation): GateOperation =>
    gateOn(
      operation.gate,
      operation.targets.map(qubitAt),
      operation.controls.map(({ qubit, value }) => ({ qubit: qubitAt(qubit), value })),
    );
  const inner = (body: readonly Step[]): Step[] => renumber(body, qubitAt, bitAt);
  const one = (step: Step): Step => {
    switch (step.kind) {
      case 'gate':
        return gate(step);
      case 'measure':
        return { ...step, qubit: qubitAt(step.qubit), bit: bitAt(step.bit) };
      case 'reset':
        return { kind: 'reset', qubit: qubitAt(step.qubit) };
      case 'noise':
        return { ...step, qubits: step.qubits.map(qubitAt) };
      case 'branch': {
        const condition = renumberBits(step.condition, bitAt);
        return { kind: 'branch', condition, body: inner(step.body), otherwise: inner(step.otherwise) };
      }
      case 'loop':
        return { kind: 'loop', condition: renumberBits(step.condition, bitAt), body: inner(step.body) };
    }
  };
  return steps.map(one);
}

function renumberBits(expression: Expression, bitAt: (bit: number) => number): Expression {
  switch (expression.kind) {
    case 'integer':
      return expression;
    case 'bits':
      return { kind: 'bits', bits: expression.bits.map(bitAt) };
    case 'not':
      return { kind: 'not', of: renumberBits(expression.of, bitAt) };
    case 'binary':
      return {
        ...expression,
        left: renumberBits(expression.left, bitAt),
        right: renumberBits(expression.right, bitAt),
      };
  }
}
