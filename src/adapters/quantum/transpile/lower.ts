import { StepError } from '../../../lib/errors.ts';
import { type Control, type GateOperation, gateOn, type Operation } from '../circuit/circuit.ts';
import { type Gate, gateNamed, matrixOf, targetsOf } from '../circuit/gates.ts';
import { controlled, controlledPhase } from './controlled.ts';
import { cx } from './kak.ts';
import { unitaryOperations } from './shannon.ts';

/** More than these no device runs, and they would fill the memory. */
const operationsMax = 200_000;
/** Of a unitary without a name: their decomposition takes 4^n gates. */
const unitaryQubitsMax = 6;

/**
 * The operations with gates of one qubit, `cx`, `cz` and what else of the basis they have, `swap` and `ecr` for example; exact, phases
 * of the whole included.
 * @throws StepError UNSUPPORTED_GATE, CIRCUIT_TOO_LARGE
 */
export function lowered(operations: readonly Operation[], basis: ReadonlySet<string>): Operation[] {
  const out: Operation[] = [];
  for (const [at, operation] of operations.entries()) {
    for (const one of lowerOne(operation, basis, `operations[${at}]`)) out.push(one);
    if (out.length > operationsMax)
      throw new StepError(
        'CIRCUIT_TOO_LARGE',
        `the circuit has more than ${operationsMax} gates of one and two qubits: use fewer gates, or fewer controls`,
      );
  }
  return out;
}

function lowerOne(operation: Operation, basis: ReadonlySet<string>, where: string): readonly Operation[] {
  switch (operation.kind) {
    case 'gate':
      return lowerGate(operation, basis, where);
    case 'branch': {
      const { body, otherwise } = operation;
      return [{ ...operation, body: lowered(body, basis), otherwise: lowered(otherwise, basis) }];
    }
    case 'loop':
      return [{ ...operation, body: lowered(operation.body, basis) }];
    case 'measure':
    case 'reset':
    case 'barrier':
      return [operation];
  }
}

function lowerGate(operation: GateOperation, basis: ReadonlySet<string>, where: string): GateOperation[] {
  const { gate, targets, controls } = operation;
  const zeros = controls.filter(({ value }) => value === 0).map(({ qubit }) => gateOn(gateNamed('x'), [qubit]));
  if (zeros.length > 0) {
    const ones = controls.map(({ qubit }): Control => ({ qubit, value: 1 }));
    return [...zeros, ...lowerGate({ ...operation, controls: ones }, basis, where), ...zeros];
  }
  const on = controls.map(({ qubit }) => qubit);
  const [first = 0] = targets;
  if (gate.name === 'id') return [];
  if (targets.length === 0) return on.length === 0 ? [operation] : controlledPhase(gate.params[0] ?? 0, on);
  if (targets.length === 1) return on.length === 0 ? [operation] : controlled(matrixOf(gate), on, first);
  if (on.length === 0 && targets.length === 2 && basis.has(gate.name)) return [operation];
  const parts = partsOf(gate, targets);
  if (parts !== undefined) {
    // What is around the inner gate undoes itself where the inner one does nothing: only that one needs the controls.
    const inner = lowerGate({ ...parts.inner, controls: [...controls, ...parts.inner.controls] }, basis, where);
    return [...parts.before, ...inner, ...parts.after];
  }
  if (targetsOf(gate) > unitaryQubitsMax)
    throw new StepError(
      'UNSUPPORTED_GATE',
      `${where} is a unitary of ${targetsOf(gate)} qubits; for a device it is made of smaller gates, which works up to ${unitaryQubitsMax}: write it as several gates`,
    );
  const made = unitaryOperations(matrixOf(gate), targets);
  return on.length === 0
    ? made
    : made.flatMap((part) => lowerGate({ ...part, controls: [...controls, ...part.controls] }, basis, where));
}

interface Parts {
  readonly before: readonly GateOperation[];
  readonly inner: GateOperation;
  readonly after: readonly GateOperation[];
}

/** Gates of two qubits as plain ones, where that takes no more than the general way. */
function partsOf(gate: Gate, targets: readonly number[]): Parts | undefined {
  // Most are the same either way; written the same way, they meet their inverse.
  const [low = 0, high = 0] = gate.name === 'rzx' ? targets : targets.toSorted((a, b) => a - b);
  const angle = gate.params[0] ?? 0;
  const on = (name: 'h' | 'sx' | 'sxdg', ...qubits: readonly number[]): GateOperation[] =>
    qubits.map((qubit) => gateOn(gateNamed(name), [qubit]));
  const zz = gateOn(gateNamed('rz', angle), [high]);
  const cnot = cx(low, high);
  switch (gate.name) {
    case 'swap':
      return { before: [cnot], inner: cx(high, low), after: [cnot] };
    case 'rzz':
      return { before: [cnot], inner: zz, after: [cnot] };
    case 'rxx':
      return { before: [...on('h', low, high), cnot], inner: zz, after: [cnot, ...on('h', low, high)] };
    case 'ryy':
      return { before: [...on('sx', low, high), cnot], inner: zz, after: [cnot, ...on('sxdg', low, high)] };
    case 'rzx':
      return { before: [...on('h', high), cnot], inner: zz, after: [cnot, ...on('h', high)] };
    default:
      return undefined;
  }
}
