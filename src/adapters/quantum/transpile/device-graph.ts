import { StepError } from '../../../lib/errors.ts';

/** The qubits of a device and which of them are next to each other. */
export interface DeviceGraph {
  readonly qubits: number;
  /** Ascending. */
  readonly neighbours: readonly (readonly number[])[];
  /** Steps from one to the other; `unreachable` where there is no way. */
  distance(from: number, to: number): number;
}

export const unreachable = 0xffff;

export function deviceGraph(qubits: number, pairs: readonly (readonly [number, number])[]): DeviceGraph {
  const sets = Array.from({ length: qubits }, () => new Set<number>());
  for (const [a, b] of pairs) {
    sets[a]?.add(b);
    sets[b]?.add(a);
  }
  const neighbours = sets.map((set) => Array.from(set).sort((a, b) => a - b));
  const rows = new Array<Uint16Array | undefined>(qubits);
  const row = (from: number): Uint16Array => {
    const made = distancesFrom(from, neighbours);
    rows[from] = made;
    return made;
  };
  return { qubits, neighbours, distance: (from, to) => (rows[from] ?? row(from))[to] ?? unreachable };
}

function distancesFrom(start: number, neighbours: readonly (readonly number[])[]): Uint16Array {
  const distances = new Uint16Array(neighbours.length).fill(unreachable);
  distances[start] = 0;
  const queue = [start];
  for (const at of queue)
    for (const next of neighbours[at] ?? [])
      if (distances[next] === unreachable) {
        distances[next] = (distances[at] ?? 0) + 1;
        queue.push(next);
      }
  return distances;
}

/** The largest set of qubits that hang together. @throws StepError CIRCUIT_TOO_LARGE where the circuit doesn't fit */
export function largestPart(graph: DeviceGraph, needed: number): number[] {
  const left = new Set(Array.from({ length: graph.qubits }, (_, qubit) => qubit));
  let largest: number[] = [];
  for (const start of left) {
    const part = Array.from(left).filter((qubit) => graph.distance(start, qubit) !== unreachable);
    for (const qubit of part) left.delete(qubit);
    if (part.length > largest.length) largest = part;
  }
  if (largest.length >= needed) return largest;
  throw new StepError(
    'CIRCUIT_TOO_LARGE',
    `the circuit acts on ${needed} qubits; the device has ${graph.qubits}, of which ${largest.length} hang together`,
  );
}
