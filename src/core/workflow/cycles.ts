/*
 * Cycles of a directed graph, given as the successors of each vertex. Tarjan, "Depth-first search and linear graph algorithms"
 * (1972), without recursion, because a chain of steps may be 100,000 long.
 */

export interface Cycle {
  /** Vertices of the strongly connected component. */
  members: number;
  /** A shortest cycle through the component's lowest vertex, which comes first; each vertex leads to the next, the last to the first. */
  steps: number[];
}

/** One cycle for each strongly connected component of more than one vertex, by lowest vertex. Edges of a vertex to itself don't count. */
export function cyclesOf(edges: readonly (readonly number[])[]): Cycle[] {
  return components(edges)
    .map((members) => ({ members: members.length, steps: shortestCycle(members, edges) }))
    .sort((a, b) => (a.steps[0] ?? 0) - (b.steps[0] ?? 0));
}

/** Strongly connected components of more than one vertex. */
function components(edges: readonly (readonly number[])[]): number[][] {
  const order = new Int32Array(edges.length).fill(-1);
  const low = new Int32Array(edges.length);
  /** The edge of a vertex that is looked at next. */
  const next = new Int32Array(edges.length);
  const onStack = new Uint8Array(edges.length);
  const stack: number[] = [];
  const found: number[][] = [];
  let visited = 0;
  const enter = (vertex: number, calls: number[]) => {
    order[vertex] = low[vertex] = visited++;
    stack.push(vertex);
    onStack[vertex] = 1;
    calls.push(vertex);
  };
  for (let root = 0; root < edges.length; root++) {
    if (order[root] !== -1) continue;
    const calls: number[] = [];
    enter(root, calls);
    for (let vertex = calls.at(-1); vertex !== undefined; vertex = calls.at(-1)) {
      const at = next[vertex] as number;
      next[vertex] = at + 1;
      const successor = edges[vertex]?.[at];
      if (successor !== undefined) {
        if (order[successor] === -1) enter(successor, calls);
        else if (onStack[successor] === 1) low[vertex] = Math.min(low[vertex] as number, order[successor] as number);
        continue;
      }
      calls.pop();
      const caller = calls.at(-1);
      if (caller !== undefined) low[caller] = Math.min(low[caller] as number, low[vertex] as number);
      if (low[vertex] !== order[vertex]) continue;
      const members = stack.splice(stack.lastIndexOf(vertex));
      for (const member of members) onStack[member] = 0;
      if (members.length > 1) found.push(members);
    }
  }
  return found;
}

/** Breadth-first from the lowest member until an edge leads back to it. */
function shortestCycle(members: readonly number[], edges: readonly (readonly number[])[]): number[] {
  const inside = new Set(members);
  const start = members.reduce((lowest, member) => Math.min(lowest, member));
  const cameFrom = new Map<number, number>([[start, start]]);
  // A Map is read in the order of insertion, also while it grows: it is the queue too.
  for (const vertex of cameFrom.keys()) {
    for (const successor of edges[vertex] ?? []) {
      if (successor === start && vertex !== start) return pathTo(vertex, start, cameFrom);
      if (inside.has(successor) && !cameFrom.has(successor)) cameFrom.set(successor, vertex);
    }
  }
  return [start];
}

function pathTo(end: number, start: number, cameFrom: ReadonlyMap<number, number>): number[] {
  const path = [end];
  for (let vertex = end; vertex !== start; ) {
    vertex = cameFrom.get(vertex) ?? start;
    path.push(vertex);
  }
  return path.reverse();
}
