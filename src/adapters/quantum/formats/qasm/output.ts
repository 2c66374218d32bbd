import type { Circuit, GateOperation, Operation, Register } from '../../circuit/circuit.ts';
import { always, type Flow, type Place } from './scope.ts';
import type { Source } from './source.ts';

const operationsMax = 2_000_000;
/** Statements that run before the circuit is known, whether or not anything comes of them. */
const stepsMax = 4_000_000;
const entriesMax = 8_000_000;
const qubitsMax = 4096;
const bitsMax = 65_536;

/** The circuit as it comes to be. */
export class Output {
  qubits = 0;
  flow: Flow = always;
  /** Counts measurements, as a clock for what is known of the bits. */
  clock = 0;
  readonly #source: Source;
  readonly #registers: Register[] = [];
  #bits = 0;
  #operations: Operation[] = [];
  #count = 0;
  #steps = 0;
  #entries = 0;
  readonly #measuredAt = new Map<number, number>();

  constructor(source: Source) {
    this.#source = source;
  }

  addQubits(count: number, at: number): number[] {
    const first = this.qubits;
    this.qubits += count;
    if (this.qubits > qubitsMax) throw this.#source.tooLarge(at, `a circuit has at most ${qubitsMax} qubits`);
    return Array.from({ length: count }, (_, more) => first + more);
  }

  addRegister(wanted: string, size: number, at: number): number[] {
    const first = this.#bits;
    this.#bits += size;
    if (this.#bits > bitsMax) throw this.#source.tooLarge(at, `a circuit has at most ${bitsMax} classical bits`);
    const taken = new Set(this.#registers.map(({ name }) => name));
    let name = wanted;
    for (let more = 1; taken.has(name); more += 1) name = `${wanted}_${more}`;
    this.#registers.push({ name, size });
    return Array.from({ length: size }, (_, more) => first + more);
  }

  step(at: number): void {
    this.#steps += 1;
    if (this.#steps > stepsMax)
      throw this.#source.tooLarge(at, `more than ${stepsMax} steps are needed to unroll the program`);
  }

  put(operation: Operation, at: number): void {
    this.count(at);
    this.#operations.push(operation);
  }

  /** Where gates go that are counted already. */
  get gates(): GateOperation[] {
    // Each gate is an operation, and they are only added here.
    return this.#operations as GateOperation[];
  }

  /** Lists of qubits and bits that an operation has besides its few. */
  weigh(at: number, entries: number): void {
    this.#entries += entries;
    if (this.#entries > entriesMax)
      throw this.#source.tooLarge(at, `the operations name more than ${entriesMax} qubits and bits in all`);
  }

  /** An operation that is about to be. */
  count(at: number): void {
    this.#count += 1;
    if (this.#count > operationsMax)
      throw this.#source.tooLarge(at, `unrolled, the circuit has more than ${operationsMax} operations`);
  }

  measure(qubit: number, bit: number, at: number): void {
    this.clock += 1;
    this.#measuredAt.set(bit, this.clock);
    this.put({ kind: 'measure', qubit, bit }, at);
  }

  /** Whether any of the bits was measured after `since`. */
  isMeasuredSince(bits: Iterable<number>, since: number): boolean {
    for (const bit of bits) if ((this.#measuredAt.get(bit) ?? 0) > since) return true;
    return false;
  }

  /** What `body` puts, apart from the rest: it runs as measured bits tell. */
  apart(isLoop: boolean, body: () => void): Operation[] {
    const [outer, outerFlow] = [this.#operations, this.flow];
    const inner: Operation[] = [];
    this.#operations = inner;
    this.flow = { parent: outerFlow, isLoop };
    try {
      body();
    } finally {
      this.#operations = outer;
      this.flow = outerFlow;
    }
    return inner;
  }

  circuit(): Circuit {
    return { qubits: this.qubits, registers: this.#registers, operations: this.#operations };
  }
}

/** Each with each other, registers qubit by qubit. @returns undefined where the sizes do not go together */
export function broadcast(places: readonly Place[]): number[][] | undefined {
  if (places.every(({ isSingle }) => isSingle)) return [places.map(({ of }) => of[0] ?? 0)];
  const sizes = new Set(places.filter(({ isSingle }) => !isSingle).map(({ of }) => of.length));
  if (sizes.size > 1) return undefined;
  const [size = 1] = sizes;
  return Array.from({ length: size }, (_, at) => places.map(({ of, isSingle }) => of[isSingle ? 0 : at] ?? 0));
}
