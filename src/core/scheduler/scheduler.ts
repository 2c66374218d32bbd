import { assert } from '../../lib/assert.ts';
import type { PlacementReason } from '../../protocol/events.ts';
import type { Demand } from './demand.ts';
import { giveBack, hasRoom, lacks, matchesWish, rankings, type SchedulerNode, take } from './node.ts';
import { ReadyQueue, type ReadyStep } from './ready-queue.ts';

export interface Placement {
  ready: ReadyStep;
  node: string;
  reason: PlacementReason;
}

/** When the coordinator runs steps itself: where no connected worker could, for all of its own accord, or not at all. */
export type LocalSteps = 'auto' | 'always' | 'never';

/** Room is looked for among this many nodes; the best of those that have some gets the step ("power of d choices"). */
const SAMPLE = 8;

interface Pool {
  list: readonly SchedulerNode[];
  set: ReadonlySet<SchedulerNode>;
}

const poolOf = (list: readonly SchedulerNode[]): Pool => ({ list, set: new Set(list) });

/** Nodes that could run a shape, by whether they are what it wishes for. Holds until the nodes change. */
interface Eligible {
  version: number;
  wished: Pool;
  others: Pool;
  size: number;
}

/**
 * Places ready steps on nodes. The same calls give the same placements: no clock, no random. The cost of a placement
 * depends neither on the number of waiting steps nor on that of the nodes, as long as steps come in few shapes.
 */
export class Scheduler {
  readonly #localSteps: LocalSteps;
  readonly #nodes = new Map<string, SchedulerNode>();
  readonly #queues = new Map<string, ReadyQueue>();
  readonly #eligible = new Map<string, Eligible>();
  /** Nodes with a free slot. */
  readonly #open = new Set<SchedulerNode>();
  /** Counts changes of the set of nodes, and of that and of free room. */
  #membership = 0;
  #room = 0;
  #cursor = 0;

  constructor(localSteps: LocalSteps = 'auto') {
    this.#localSteps = localSteps;
  }

  /** Adds a node, or replaces what is known of it; what runs there stays accounted. */
  setNode(node: SchedulerNode): void {
    const before = this.#nodes.get(node.id);
    if (before !== undefined) {
      node.running = before.running;
      Object.assign(node.used, before.used);
      this.#open.delete(before);
    }
    this.#nodes.set(node.id, node);
    this.#changed(node);
  }

  removeNode(id: string): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    this.#nodes.delete(id);
    this.#open.delete(node);
    this.#membership += 1;
    this.#room += 1;
  }

  suspect(id: string, suspected: boolean): void {
    const node = this.#nodes.get(id);
    if (node === undefined || node.suspected === suspected) return;
    node.suspected = suspected;
    this.#changed(node);
  }

  node(id: string): SchedulerNode | undefined {
    return this.#nodes.get(id);
  }

  nodes(): IterableIterator<SchedulerNode> {
    return this.#nodes.values();
  }

  get readyCount(): number {
    let count = 0;
    for (const queue of this.#queues.values()) count += queue.size;
    return count;
  }

  enqueue(ready: ReadyStep): void {
    const { shape } = ready.demand;
    let queue = this.#queues.get(shape);
    if (queue === undefined) {
      queue = new ReadyQueue(ready.demand);
      this.#queues.set(shape, queue);
    }
    queue.push(ready);
  }

  /** Forgets the waiting steps of a run. */
  dropRun(run: string): void {
    for (const [shape, queue] of this.#queues) {
      queue.drop(run);
      if (queue.size === 0) this.#queues.delete(shape);
    }
  }

  /** Takes room on a node for an attempt that is already there, as after a restart. */
  reserve(id: string, demand: Demand): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    take(node, demand);
    if (node.running >= node.slots) this.#open.delete(node);
  }

  /** Gives back the room of an attempt that has ended. */
  release(id: string, demand: Demand): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    giveBack(node, demand);
    assert(node.running >= 0, `node ${id} runs no fewer than no steps`);
    this.#roomOn(node);
  }

  /** The next step that can be placed, with its room reserved; undefined where nothing can be placed now. */
  next(): Placement | undefined {
    if (this.#open.size === 0) return undefined;
    for (const [shape, queue] of this.#queues) {
      if (queue.blockedAt === this.#room) continue;
      const choice = this.#choose(queue.demand);
      if (choice === undefined) {
        queue.blockedAt = this.#room;
        continue;
      }
      const ready = queue.shift();
      this.#queues.delete(shape);
      if (ready === undefined) continue;
      // Shapes take turns: this one goes to the end.
      if (queue.size > 0) this.#queues.set(shape, queue);
      take(choice.node, queue.demand);
      if (choice.node.running >= choice.node.slots) this.#open.delete(choice.node);
      return { ready, node: choice.node.id, reason: choice.reason };
    }
    return undefined;
  }

  /** Steps that no node here could ever run, with what each node lacks. */
  *unschedulable(): Generator<{ demand: Demand; runs: string[]; why: string }> {
    for (const queue of this.#queues.values()) {
      if (this.#eligibleFor(queue.demand).size > 0) continue;
      yield { demand: queue.demand, runs: [...queue.runs()], why: this.#explainLacks(queue.demand) };
    }
  }

  /** Waiting steps of a run. */
  *readySteps(run: string): Generator<ReadyStep> {
    for (const queue of this.#queues.values()) yield* queue.stepsOf(run);
  }

  /** Waiting steps of a run with the reason why they wait; `limit` at most. */
  *waiting(run: string, limit: number): Generator<{ step: number; why: string }> {
    let count = 0;
    for (const queue of this.#queues.values()) {
      let why: string | undefined;
      for (const { step } of queue.stepsOf(run)) {
        if (count >= limit) return;
        count += 1;
        why ??= this.#explainWait(queue.demand);
        yield { step, why };
      }
    }
  }

  #changed(node: SchedulerNode): void {
    this.#membership += 1;
    this.#roomOn(node);
  }

  #roomOn(node: SchedulerNode): void {
    if (!node.suspected && node.running < node.slots) this.#open.add(node);
    else this.#open.delete(node);
    this.#room += 1;
  }

  #eligibleFor(demand: Demand): Eligible {
    const known = this.#eligible.get(demand.shape);
    if (known?.version === this.#membership) return known;
    const fit = [...this.#nodes.values()].filter((node) => lacks(node, demand).length === 0);
    const remote = fit.filter((node) => !node.local);
    const useLocal =
      demand.localOnly ||
      this.#localSteps === 'always' ||
      (this.#localSteps === 'auto' && remote.every((node) => node.suspected));
    const all = useLocal ? fit : remote;
    const { prefer } = demand;
    const wished = poolOf(prefer === undefined ? [] : all.filter((node) => matchesWish(node, prefer)));
    const others = poolOf(all.filter((node) => !wished.set.has(node)));
    const eligible = { version: this.#membership, wished, others, size: all.length };
    if (this.#eligible.size > 10_000) this.#eligible.clear();
    this.#eligible.set(demand.shape, eligible);
    return eligible;
  }

  #choose(demand: Demand): { node: SchedulerNode; reason: PlacementReason } | undefined {
    const { wished, others, size } = this.#eligibleFor(demand);
    if (size === 0) return undefined;
    for (const pool of [wished, others]) {
      const free = this.#sample(pool, demand);
      if (free.length === 0) continue;
      const [best, ...rest] = free.map((node) => ({ node, parts: scoreParts(node, demand, pool === wished) }));
      if (best === undefined) continue;
      const winner = rest.reduce((top, one) => (total(one.parts) > total(top.parts) ? one : top), best);
      return {
        node: winner.node,
        reason: explain(winner.node, winner.parts, demand, free.length, size, pool === wished),
      };
    }
    return undefined;
  }

  /** Up to SAMPLE nodes of the pool with room, from a place that moves on, so that equals take turns. */
  #sample(pool: Pool, demand: Demand): SchedulerNode[] {
    const free: SchedulerNode[] = [];
    // With few open nodes it is cheaper to ask those than to walk a large pool that is busy.
    const few = this.#open.size * 4 < pool.list.length;
    const source = few ? [...this.#open].filter((node) => pool.set.has(node)) : pool.list;
    this.#cursor += 1;
    for (let index = 0; index < source.length && free.length < SAMPLE; index++) {
      const node = source[(index + this.#cursor) % source.length];
      if (node !== undefined && hasRoom(node, demand)) free.push(node);
    }
    return free;
  }

  #explainLacks(demand: Demand): string {
    const nodes = [...this.#nodes.values()];
    if (nodes.length === 0) return 'no node is connected';
    const shown = nodes.slice(0, 20).map((node) => {
      const missing = lacks(node, demand);
      return `${node.id} ${missing.length > 0 ? missing.join(' and ') : 'may not run steps itself (local steps are off)'}`;
    });
    if (nodes.length > shown.length) shown.push(`and ${nodes.length - shown.length} more nodes`);
    return shown.join('; ');
  }

  #explainWait(demand: Demand): string {
    const { wished, others, size } = this.#eligibleFor(demand);
    if (size === 0) return `no connected node can run it: ${this.#explainLacks(demand)}`;
    const shown = [...wished.list, ...others.list].slice(0, 5).map((node) => `${node.id} ${busy(node, demand)}`);
    if (size > shown.length) shown.push(`and ${size - shown.length} more`);
    return `waits for room on ${size === 1 ? 'the node' : `one of ${size} nodes`} that can run it: ${shown.join('; ')}`;
  }
}

function busy(node: SchedulerNode, demand: Demand): string {
  if (node.suspected) return 'is suspected to be down';
  if (node.running >= node.slots) return `runs ${node.running} of ${node.slots} steps`;
  const short = Object.entries(demand.resources).find(
    ([name, amount]) => (node.total[name] ?? Number.POSITIVE_INFINITY) - (node.used[name] ?? 0) < amount,
  );
  if (short === undefined) return 'has room now';
  const [name, amount] = short;
  return `has ${(node.total[name] ?? 0) - (node.used[name] ?? 0)} ${name} free of ${node.total[name]}, the step needs ${amount}`;
}

function scoreParts(node: SchedulerNode, demand: Demand, wished: boolean): Record<string, number> {
  const ranking = demand.prefer === undefined ? undefined : rankings.get(demand.prefer);
  return {
    preference: wished ? 100 : ranking === undefined ? 0 : ranking(node),
    load: -100 * (node.running / node.slots),
    // By its order of magnitude: a busy host answers pings late, and a millisecond must not outweigh a free slot.
    latency: -Math.log2(1 + (node.latencyMs ?? 0)),
  };
}

const total = (parts: Record<string, number>): number => Object.values(parts).reduce((sum, part) => sum + part, 0);

function explain(
  node: SchedulerNode,
  parts: Record<string, number>,
  demand: Demand,
  free: number,
  candidates: number,
  wished: boolean,
): PlacementReason {
  const why: string[] = [];
  if (candidates === 1) why.push('the only node that can run it');
  else if (free === 1) why.push(`the one with room among ${candidates} that can run it`);
  else why.push(`best of ${free} with room`);
  if (demand.prefer !== undefined) {
    if (wished) why.push(`is ${demand.prefer}, as preferred`);
    else if (rankings.has(demand.prefer)) why.push(`ranked by ${demand.prefer}`);
    else why.push(`no room on a node that is ${demand.prefer}`);
  }
  why.push(`load ${node.running}/${node.slots}`);
  if (node.latencyMs !== undefined) why.push(`${node.latencyMs.toFixed(1)} ms away`);
  return { score: Math.round(total(parts) * 100) / 100, text: why.join(', '), parts, candidates };
}
