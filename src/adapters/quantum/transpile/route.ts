import { type GateOperation, gateOn, type Operation } from '../circuit/circuit.ts';
import { gateNamed } from '../circuit/gates.ts';
import { bitsIn, qubitsIn } from '../circuit/wires.ts';
import type { DeviceGraph } from './device-graph.ts';

export interface Routed {
  /** On the qubits of the device. */
  readonly operations: Operation[];
  /** Where each qubit of the circuit is in the end. */
  readonly layout: number[];
  /** The swaps that it took, in order, without those of bodies. */
  readonly moves: readonly GateOperation[];
  /** How many it took, with those of bodies. */
  readonly swaps: number;
}

/** How far apart the qubits of some gates are, together, and for each place the places of its partners. */
interface Distances {
  readonly count: number;
  readonly sum: number;
  readonly partners: ReadonlyMap<number, readonly number[]>;
}

/** Gates of two qubits ahead of those that wait that have a say in the next swap, and how much of one. */
const aheadMax = 20;
const aheadWeight = 0.5;
/** Makes a qubit that was just moved less likely to be moved again. */
const decayStep = 0.001;
const decayEvery = 5;
/** Swaps after which no gate became possible. */
const stuckAfter = 100;

/**
 * Puts a circuit on a device: `swap` gates bring qubits next to each other. The same circuit gives the same result.
 * Source: SABRE, Li, Ding & Xie, doi:10.1145/3297858.3304023.
 * @param operations with gates of one and two qubits
 * @param layout the place of each qubit of the circuit at first
 */
export function route(operations: readonly Operation[], layout: readonly number[], graph: DeviceGraph): Routed {
  return new Router(operations, layout, graph).run();
}

class Router {
  readonly #operations: readonly Operation[];
  readonly #graph: DeviceGraph;
  /** Of a qubit of the circuit on the device, and back; -1 for a place that holds none. */
  readonly #places: number[];
  readonly #held: number[];
  readonly #successors: number[][];
  readonly #waitsFor: number[];
  readonly #decay: Float64Array;
  readonly #out: Operation[] = [];
  readonly #moves: GateOperation[] = [];
  #front: number[] = [];
  #swaps = 0;
  #sinceProgress = 0;

  constructor(operations: readonly Operation[], layout: readonly number[], graph: DeviceGraph) {
    this.#operations = operations;
    this.#graph = graph;
    this.#places = [...layout];
    this.#held = new Array<number>(graph.qubits).fill(-1);
    for (const [qubit, place] of layout.entries()) this.#held[place] = qubit;
    this.#successors = operations.map(() => []);
    this.#waitsFor = operations.map(() => 0);
    this.#decay = new Float64Array(graph.qubits).fill(1);
    const last = new Map<string, number>();
    for (const [at, operation] of operations.entries()) {
      const wires = [...qubitsIn(operation).map((qubit) => `q${qubit}`), ...bitsIn(operation).map((bit) => `c${bit}`)];
      const before = new Set(wires.flatMap((wire) => last.get(wire) ?? []));
      for (const one of before) this.#successors[one]?.push(at);
      this.#waitsFor[at] = before.size;
      for (const wire of wires) last.set(wire, at);
    }
    this.#front = Array.from(operations.keys()).filter((at) => this.#waitsFor[at] === 0);
  }

  run(): Routed {
    while (this.#front.length > 0) {
      if (this.#advance()) continue;
      this.#swapOnce();
    }
    return { operations: this.#out, layout: [...this.#places], moves: this.#moves, swaps: this.#swaps };
  }

  /** Does what needs no swap. @returns whether there was anything */
  #advance(): boolean {
    const stay: number[] = [];
    const ready = [...this.#front];
    let moved = false;
    // What becomes ready is looked at in the same go.
    for (const at of ready) {
      const operation = this.#operations[at];
      if (operation === undefined) continue;
      if (!this.#fits(operation)) {
        stay.push(at);
        continue;
      }
      moved = true;
      this.#emit(operation);
      for (const next of this.#successors[at] ?? []) {
        const left = (this.#waitsFor[next] ?? 0) - 1;
        this.#waitsFor[next] = left;
        if (left === 0) ready.push(next);
      }
    }
    this.#front = stay;
    if (moved) {
      this.#sinceProgress = 0;
      this.#decay.fill(1);
    }
    return moved;
  }

  #fits(operation: Operation): boolean {
    if (operation.kind !== 'gate') return true;
    const [a, b] = qubitsIn(operation);
    return a === undefined || b === undefined || this.#graph.distance(this.#at(a), this.#at(b)) === 1;
  }

  #at(qubit: number): number {
    return this.#places[qubit] ?? 0;
  }

  #emit(operation: Operation): void {
    switch (operation.kind) {
      case 'branch':
        this.#out.push({
          ...operation,
          body: this.#within(operation.body),
          otherwise: this.#within(operation.otherwise),
        });
        break;
      case 'loop':
        this.#out.push({ ...operation, body: this.#within(operation.body) });
        break;
      default:
        this.#out.push(placed(operation, this.#places));
    }
  }

  /** A body of its own, after which everything is where it was: whether it runs is known only later. */
  #within(body: readonly Operation[]): Operation[] {
    const { operations, moves, swaps } = route(body, this.#places, this.#graph);
    this.#swaps += swaps + moves.length;
    return [...operations, ...moves.toReversed()];
  }

  #swapOnce(): void {
    this.#sinceProgress += 1;
    const gates = this.#front.flatMap((at) => this.#pairOf(at));
    // It goes round in circles: the nearest pair is brought together whatever it costs the others.
    if (this.#sinceProgress > stuckAfter) return this.#bringTogether(gates);
    const now = this.#distances(gates);
    const ahead = this.#distances(this.#ahead());
    let best: readonly [number, number] | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [a, b] of this.#candidates(gates)) {
      const decay = Math.max(this.#decay[a] ?? 1, this.#decay[b] ?? 1);
      const cost = decay * (this.#meanAfter(now, a, b) + aheadWeight * this.#meanAfter(ahead, a, b));
      if (cost < least - 1e-12) [best, least] = [[a, b], cost];
    }
    if (best !== undefined) this.#swap(...best);
  }

  /** The places' neighbours, each pair once, in ascending order. */
  #candidates(gates: readonly (readonly [number, number])[]): (readonly [number, number])[] {
    const places = Array.from(new Set(gates.flat().map((qubit) => this.#at(qubit)))).sort((a, b) => a - b);
    const seen = new Set(places);
    return places.flatMap((a) =>
      (this.#graph.neighbours[a] ?? []).flatMap((b) => (seen.has(b) && b < a ? [] : [[a, b] as const])),
    );
  }

  #distances(gates: readonly (readonly [number, number])[]): Distances {
    const partners = new Map<number, number[]>();
    let sum = 0;
    for (const gate of gates) {
      const [p, q] = [this.#at(gate[0]), this.#at(gate[1])];
      sum += this.#graph.distance(p, q);
      for (const [one, other] of [
        [p, q],
        [q, p],
      ] as const) {
        const known = partners.get(one);
        if (known === undefined) partners.set(one, [other]);
        else known.push(other);
      }
    }
    return { count: gates.length, sum, partners };
  }

  /** The mean distance once two places have changed their qubits: only the gates at these two are looked at. */
  #meanAfter({ count, sum, partners }: Distances, a: number, b: number): number {
    if (count === 0) return 0;
    let after = sum;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const)
      for (const partner of partners.get(from) ?? [])
        if (partner !== to) after += this.#graph.distance(to, partner) - this.#graph.distance(from, partner);
    return after / count;
  }

  #pairOf(at: number): (readonly [number, number])[] {
    const operation = this.#operations[at];
    if (operation?.kind !== 'gate') return [];
    const [a, b] = qubitsIn(operation);
    return a === undefined || b === undefined ? [] : [[a, b]];
  }

  /** The next gates of two qubits after those that wait. */
  #ahead(): (readonly [number, number])[] {
    const found: (readonly [number, number])[] = [];
    const queue = [...this.#front];
    const seen = new Set(queue);
    for (const at of queue) {
      for (const next of this.#successors[at] ?? []) {
        if (seen.has(next)) continue;
        seen.add(next);
        queue.push(next);
        found.push(...this.#pairOf(next));
        if (found.length >= aheadMax) return found;
      }
    }
    return found;
  }

  #bringTogether(gates: readonly (readonly [number, number])[]): void {
    const far = ([a, b]: readonly [number, number]): number => this.#graph.distance(this.#at(a), this.#at(b));
    const nearest = gates.reduce((best, pair) => (far(pair) < far(best) ? pair : best));
    while (far(nearest) > 1) {
      const from = this.#at(nearest[0]);
      const to = this.#at(nearest[1]);
      const next = (this.#graph.neighbours[from] ?? []).find(
        (place) => this.#graph.distance(place, to) < this.#graph.distance(from, to),
      );
      if (next === undefined) return;
      this.#swap(from, next);
    }
  }

  #swap(a: number, b: number): void {
    const swap = gateOn(gateNamed('swap'), [a, b]);
    this.#moves.push(swap);
    this.#out.push(swap);
    const [left = -1, right = -1] = [this.#held[a], this.#held[b]];
    this.#held[a] = right;
    this.#held[b] = left;
    if (left >= 0) this.#places[left] = b;
    if (right >= 0) this.#places[right] = a;
    this.#swaps += 1;
    for (const place of [a, b]) this.#decay[place] = (this.#decay[place] ?? 1) + decayStep;
    if (this.#swaps % decayEvery === 0) this.#decay.fill(1);
  }
}

/** The operation on the qubits of the device. */
function placed(operation: Operation, places: readonly number[]): Operation {
  const at = (qubit: number): number => places[qubit] ?? 0;
  switch (operation.kind) {
    case 'gate':
      return {
        ...operation,
        targets: operation.targets.map(at),
        controls: operation.controls.map(({ qubit, value }) => ({ qubit: at(qubit), value })),
      };
    case 'measure':
    case 'reset':
      return { ...operation, qubit: at(operation.qubit) };
    case 'barrier':
      return { ...operation, qubits: operation.qubits.map(at) };
    case 'branch':
      return {
        ...operation,
        body: operation.body.map((one) => placed(one, places)),
        otherwise: operation.otherwise.map((one) => placed(one, places)),
      };
    case 'loop':
      return { ...operation, body: operation.body.map((one) => placed(one, places)) };
  }
}
