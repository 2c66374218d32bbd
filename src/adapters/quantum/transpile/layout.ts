import { type DeviceGraph, largestPart } from './device-graph.ts';

/** How often each pair of qubits meets in a gate: `weights[a]` holds `b` and how often. */
export type Weights = readonly ReadonlyMap<number, number>[];

/** Steps of the search for a place where everything fits. */
const stepsMax = 20_000;

/**
 * A place on the device for each qubit of a circuit in which all that meet are neighbours.
 * @returns undefined where there is none, or none was found soon
 */
export function perfectLayout(weights: Weights, graph: DeviceGraph): number[] | undefined {
  const order = byConnection(weights);
  const places = new Array<number>(weights.length).fill(-1);
  const taken = new Set<number>();
  let steps = 0;
  const place = (at: number): boolean => {
    const qubit = order[at];
    if (qubit === undefined) return true;
    const met = Array.from(weights[qubit]?.keys() ?? []).map((other) => places[other] ?? -1);
    const placed = met.filter((spot) => spot >= 0);
    const [anchor] = placed;
    const candidates =
      anchor === undefined ? Array.from({ length: graph.qubits }, (_, spot) => spot) : (graph.neighbours[anchor] ?? []);
    for (const spot of candidates) {
      if (taken.has(spot) || (graph.neighbours[spot]?.length ?? 0) < (weights[qubit]?.size ?? 0)) continue;
      if (!placed.every((other) => graph.distance(spot, other) === 1)) continue;
      steps += 1;
      if (steps > stepsMax) return false;
      places[qubit] = spot;
      taken.add(spot);
      if (place(at + 1)) return true;
      places[qubit] = -1;
      taken.delete(spot);
    }
    return false;
  };
  return place(0) ? places : undefined;
}

/** The most connected first, then always one that meets the most of those before. */
function byConnection(weights: Weights): number[] {
  const order: number[] = [];
  const left = new Set(weights.keys());
  const met = new Array<number>(weights.length).fill(0);
  while (left.size > 0) {
    let best = -1;
    for (const qubit of left) {
      const better =
        best < 0 ||
        (met[qubit] ?? 0) > (met[best] ?? 0) ||
        (met[qubit] === met[best] && (weights[qubit]?.size ?? 0) > (weights[best]?.size ?? 0));
      if (better) best = qubit;
    }
    left.delete(best);
    order.push(best);
    for (const other of weights[best]?.keys() ?? []) met[other] = (met[other] ?? 0) + 1;
  }
  return order;
}

/** One after the other to the free place that is nearest to those it meets, the most connected first. */
export function greedyLayout(weights: Weights, graph: DeviceGraph): number[] {
  const places = new Array<number>(weights.length).fill(-1);
  const free = new Set(largestPart(graph, weights.length));
  const central = Array.from(free).sort(
    (a, b) => (graph.neighbours[b]?.length ?? 0) - (graph.neighbours[a]?.length ?? 0) || a - b,
  );
  for (const qubit of byConnection(weights)) {
    const met = Array.from(weights[qubit] ?? []).filter(([other]) => (places[other] ?? -1) >= 0);
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const spot of central) {
      if (!free.has(spot)) continue;
      const cost = met.reduce((sum, [other, times]) => sum + times * graph.distance(spot, places[other] ?? 0), 0);
      if (cost < least) [best, least] = [spot, cost];
    }
    places[qubit] = best;
    free.delete(best);
  }
  return places;
}
