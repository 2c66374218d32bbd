import { type GateOperation, gateOn, type Operation } from '../circuit/circuit.ts';
import { type Matrix, multiply } from '../circuit/complex.ts';
import { type Gate, gateNamed, matrixOf } from '../circuit/gates.ts';
import { qubitsIn } from '../circuit/wires.ts';
import type { DeviceGates } from './device-gates.ts';
import { commutesWithX, isDiagonal, isPhase, isZero } from './single.ts';

/** What was to be done on one qubit and is not written yet. */
interface Pending {
  readonly matrix: Matrix;
  /** In order; undefined where they are so many that other ones are sure to be fewer. */
  readonly gates: readonly Gate[] | undefined;
}

const gatesMax = 8;

const nothing: Pending = { matrix: matrixOf(gateNamed('id')), gates: [] };

/**
 * Writes operations with the gates of a device and keeps them few: runs of gates on one qubit become one, those that may pass a gate of
 * two qubits do so, and gates of two qubits that meet their inverse vanish together with it.
 */
export class Emitter {
  readonly #gates: DeviceGates;
  /** Undefined where something vanished. */
  readonly #out: (Operation | undefined)[] = [];
  /** Of each qubit: where in `#out` it takes part, and what is still to be written. */
  readonly #places = new Map<number, number[]>();
  readonly #pending = new Map<number, Pending>();

  constructor(gates: DeviceGates) {
    this.#gates = gates;
  }

  write(operations: readonly Operation[]): Operation[] {
    for (const operation of operations) this.#add(operation);
    for (const qubit of this.#pending.keys()) this.#flush(qubit);
    return this.#out.filter((operation) => operation !== undefined);
  }

  #add(operation: Operation): void {
    if (operation.kind === 'gate') {
      for (const part of this.#gates.native(operation)) this.#addGate(part);
      return;
    }
    for (const qubit of qubitsIn(operation)) this.#flush(qubit);
    this.#put(this.#withBodies(operation));
  }

  #withBodies(operation: Exclude<Operation, GateOperation>): Operation {
    const body = (operations: readonly Operation[]): Operation[] => new Emitter(this.#gates).write(operations);
    switch (operation.kind) {
      case 'branch':
        return { ...operation, body: body(operation.body), otherwise: body(operation.otherwise) };
      case 'loop':
        return { ...operation, body: body(operation.body) };
      default:
        return operation;
    }
  }

  #addGate(operation: GateOperation): void {
    const [first, second] = qubitsIn(operation);
    // A phase of the whole is not seen.
    if (first === undefined) return;
    if (second === undefined) this.#addSingle(first, operation.gate);
    else this.#addPair(operation, first, second);
  }

  #addSingle(qubit: number, gate: Gate): void {
    const { matrix, gates } = this.#pending.get(qubit) ?? nothing;
    this.#pending.set(qubit, {
      matrix: multiply(matrixOf(gate), matrix),
      gates: gates === undefined || gates.length >= gatesMax ? undefined : [...gates, gate],
    });
  }

  #addPair(operation: GateOperation, first: number, second: number): void {
    for (const qubit of [first, second]) {
      const { matrix } = this.#pending.get(qubit) ?? nothing;
      if (!commutes(operation, qubit, matrix)) this.#flush(qubit, isDiagonalOn(operation, qubit));
    }
    const at = this.#places.get(first)?.at(-1);
    const before = at === undefined || this.#places.get(second)?.at(-1) !== at ? undefined : this.#out[at];
    const joined = before?.kind === 'gate' ? join(before, operation) : undefined;
    if (at === undefined || joined === undefined) return this.#put(operation);
    this.#out[at] = undefined;
    for (const qubit of [first, second]) this.#places.get(qubit)?.pop();
    if (joined !== 'nothing') return this.#put(joined);
    for (const qubit of [first, second]) this.#reopen(qubit);
  }

  /** Takes gates of one qubit that were written back: what stood between them and what comes is gone. */
  #reopen(qubit: number): void {
    const places = this.#places.get(qubit) ?? [];
    for (let at = places.at(-1); at !== undefined; at = places.at(-1)) {
      const operation = this.#out[at];
      if (operation?.kind !== 'gate' || qubitsIn(operation).length > 1) return;
      const { matrix, gates } = this.#pending.get(qubit) ?? nothing;
      this.#pending.set(qubit, {
        matrix: multiply(matrix, matrixOf(operation.gate)),
        gates: gates === undefined || gates.length >= gatesMax ? undefined : [operation.gate, ...gates],
      });
      this.#out[at] = undefined;
      places.pop();
    }
  }

  /** @param keep whether a last `rz` may wait: it passes what comes */
  #flush(qubit: number, keep = false): void {
    const { matrix, gates } = this.#pending.get(qubit) ?? nothing;
    this.#pending.delete(qubit);
    if (isPhase(matrix)) return;
    const made = this.#gates.write(matrix);
    const best =
      gates !== undefined && gates.length <= made.length && gates.every(({ name }) => this.#gates.has(name))
        ? gates
        : made;
    const last = best.at(-1);
    const waits = keep && last?.name === 'rz';
    for (const gate of waits ? best.slice(0, -1) : best) this.#put(gateOn(gate, [qubit]));
    if (waits) this.#addSingle(qubit, last);
  }

  #put(operation: Operation): void {
    const at = this.#out.push(operation) - 1;
    for (const qubit of qubitsIn(operation)) {
      const places = this.#places.get(qubit);
      if (places === undefined) this.#places.set(qubit, [at]);
      else places.push(at);
    }
  }
}

/** Whether a gate of one qubit may change places with the gate of two. */
function commutes(operation: GateOperation, qubit: number, matrix: Matrix): boolean {
  if (isPhase(matrix)) return true;
  if (isDiagonalOn(operation, qubit)) return isDiagonal(matrix);
  const isTarget = operation.gate.name === 'x' && operation.targets[0] === qubit;
  return isTarget && commutesWithX(matrix);
}

const isDiagonalOn = ({ gate, controls }: GateOperation, qubit: number): boolean =>
  gate.name === 'rzz' || (controls.length > 0 && gate.name === 'z') || controls.some((one) => one.qubit === qubit);

const ownInverse: ReadonlySet<string> = new Set(['x', 'z', 'ecr', 'swap']);
const symmetric: ReadonlySet<string> = new Set(['z', 'swap', 'rzz']);

/** What two gates on the same qubits, one after the other, make: one gate, or nothing; undefined where they stay two. */
function join(left: GateOperation, right: GateOperation): GateOperation | 'nothing' | undefined {
  const { name } = left.gate;
  if (name !== right.gate.name || left.controls.length !== right.controls.length) return undefined;
  const isTurned = left.targets[0] !== right.targets[0];
  if (isTurned && !symmetric.has(name)) return undefined;
  if (ownInverse.has(name)) return 'nothing';
  if (name !== 'rzz') return undefined;
  const angle = (left.gate.params[0] ?? 0) + (right.gate.params[0] ?? 0);
  return isZero(angle) ? 'nothing' : { ...left, gate: gateNamed('rzz', angle) };
}
