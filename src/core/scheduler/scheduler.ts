import { assert } from '../../lib/assert.ts';
import type { PlacementReason } from '../../protocol/events.ts';
import type { Demand } from './demand.ts';
import { giveBack, hasRoom, lacks, matchesWish, rankings, type SchedulerNode, take } from './node.ts';
import { ReadyQueue, type ReadyStep } from './ready-queue.ts';

export interface Placement {
  ready: ReadyStep;
  node: string;
  reason: PlacementReason;
  /** Which stay of the node it is: another number means that the node went meanwhile, and its reserved room with it. */
  stay: number;
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

interface Waiting extends ReadyQueue {
  eligible?: Eligible;
}

/**
 * Places ready steps on nodes. The same calls give the same placements: no clock, no random.
 *
 * Steps wait in a queue per shape of demand. A queue is *tryable* until nothing of it can be placed, then *blocked* until a node
 * gets room that one of its steps would fit into. So the cost of a placement depends neither on the number of waiting steps nor,
 * thanks to sampling, on that of the nodes; a step that ends costs one look at each blocked queue.
 */
export class Scheduler {
  readonly #localSteps: LocalSteps;
  readonly #nodes = new Map<string, SchedulerNode>();
  /** By node id, a number for each time from its coming to its going. */
  readonly #stays = new Map<string, number>();
  #stay = 0;
  readonly #queues = new Map<string, Waiting>();
  readonly #shapesOfRun = new Map<string, Set<string>>();
  readonly #tryable = new Set<Waiting>();
  readonly #blocked = new Set<Waiting>();
  /** Queues that no node could ever serve. */
  #hopeless = new Set<Waiting>();
  #hopelessAt = 0;
  /** Nodes with a free slot. */
  readonly #open = new Set<SchedulerNode>();
  /** Nodes that got room since the blocked queues were last looked at. */
  readonly #freed = new Set<SchedulerNode>();
  /** Counts changes of the set of nodes, and of what they offer. */
  #membership = 1;
  #ready = 0;
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
      this.#forget(before);
    } else this.#stays.set(node.id, this.#stay++);
    this.#nodes.set(node.id, node);
    this.#changed(node);
  }

  removeNode(id: string): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    this.#nodes.delete(id);
    this.#stays.delete(id);
    this.#forget(node);
    this.#changed(undefined);
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
    return this.#ready;
  }

  enqueue(ready: ReadyStep): void {
    const { shape } = ready.demand;
    let queue = this.#queues.get(shape);
    if (queue === undefined) {
      queue = new ReadyQueue(ready.demand);
      this.#queues.set(shape, queue);
      this.#tryable.add(queue);
      if (this.#hopelessAt === this.#membership && this.#eligibleFor(queue).size === 0) this.#hopeless.add(queue);
    }
    queue.push(ready);
    this.#ready += 1;
    const shapes = this.#shapesOfRun.get(ready.run) ?? new Set();
    this.#shapesOfRun.set(ready.run, shapes.add(shape));
  }

  /** Forgets the waiting steps of a run. */
  dropRun(run: string): void {
    for (const queue of this.#queuesOf(run)) {
      this.#ready -= queue.drop(run);
      if (queue.size === 0) this.#remove(queue);
    }
    this.#shapesOfRun.delete(run);
  }

  /** Takes room on a node for an attempt that is already there, as after a restart. */
  reserve(id: string, demand: Demand): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    take(node, demand);
    if (node.running >= node.slots) this.#forget(node);
  }

  /** Whether the room that a placement reserved is still reserved. */
  holds({ node, stay }: Placement): boolean {
    return this.#stays.get(node) === stay;
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
    for (;;) {
      const queue = this.#unblocked() ?? first(this.#tryable);
      if (queue === undefined) return undefined;
      const choice = this.#choose(queue);
      // Shapes take turns: this one goes to the end, or waits for room.
      this.#tryable.delete(queue);
      if (choice === undefined) {
        this.#blocked.add(queue);
        continue;
      }
      const ready = queue.shift();
      if (queue.size === 0) this.#remove(queue);
      else this.#tryable.add(queue);
      if (ready === undefined) continue;
      this.#ready -= 1;
      take(choice.node, queue.demand);
      if (choice.node.running >= choice.node.slots) this.#forget(choice.node);
      return { ready, node: choice.node.id, reason: choice.reason, stay: this.#stays.get(choice.node.id) ?? -1 };
    }
  }

  /** Demands that no node here could ever meet, with the runs that wait for them and what each node lacks. */
  *unschedulable(): Generator<{ shape: string; runs: string[]; why: string }> {
    if (this.#hopelessAt !== this.#membership) {
      this.#hopeless = new Set([...this.#queues.values()].filter((queue) => this.#eligibleFor(queue).size === 0));
      this.#hopelessAt = this.#membership;
    }
    for (const queue of this.#hopeless)
      yield { shape: queue.demand.shape, runs: [...queue.runs()], why: this.#explainLacks(queue.demand) };
  }

  /** Waiting steps of a run. */
  *readySteps(run: string): Generator<ReadyStep> {
    for (const queue of this.#queuesOf(run)) yield* queue.stepsOf(run);
  }

  /** Waiting steps of a run with the reason why they wait; `limit` at most. */
  *waiting(run: string, limit: number): Generator<{ step: number; why: string }> {
    let count = 0;
    for (const queue of this.#queuesOf(run)) {
      let why: string | undefined;
      for (const { step } of queue.stepsOf(run)) {
        if (count >= limit) return;
        count += 1;
        why ??= this.#explainWait(queue);
        yield { step, why };
      }
    }
  }

  *#queuesOf(run: string): Generator<Waiting> {
    for (const shape of this.#shapesOfRun.get(run) ?? []) {
      const queue = this.#queues.get(shape);
      if (queue !== undefined) yield queue;
    }
  }

  /** The nodes, or what they offer, have changed: everything may be placeable now. */
  #changed(node: SchedulerNode | undefined): void {
    this.#membership += 1;
    for (const queue of this.#blocked) this.#tryable.add(queue);
    this.#blocked.clear();
    if (node !== undefined) this.#roomOn(node);
  }

  #roomOn(node: SchedulerNode): void {
    if (node.suspected || node.running >= node.slots) return this.#forget(node);
    this.#open.add(node);
    this.#freed.add(node);
  }

  #forget(node: SchedulerNode): void {
    this.#open.delete(node);
    this.#freed.delete(node);
  }

  /** A blocked queue that fits where room has come up. One at a time: the room may be gone with it. */
  #unblocked(): Waiting | undefined {
    if (this.#freed.size === 0) return undefined;
    for (const queue of this.#blocked)
      for (const node of this.#freed) {
        if (!hasRoom(node, queue.demand)) continue;
        const { wished, others } = this.#eligibleFor(queue);
        if (!wished.set.has(node) && !others.set.has(node)) continue;
        this.#blocked.delete(queue);
        return queue;
      }
    this.#freed.clear();
    return undefined;
  }

  #remove(queue: Waiting): void {
    this.#queues.delete(queue.demand.shape);
    this.#tryable.delete(queue);
    this.#blocked.delete(queue);
    this.#hopeless.delete(queue);
  }

  #eligibleFor(queue: Waiting): Eligible {
    if (queue.eligible?.version === this.#membership) return queue.eligible;
    const { demand } = queue;
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
    queue.eligible = { version: this.#membership, wished, others, size: all.length };
    return queue.eligible;
  }

  #choose(queue: Waiting): { node: SchedulerNode; reason: PlacementReason } | undefined {
    const { demand } = queue;
    const { wished, others, size } = this.#eligibleFor(queue);
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

  #explainWait(queue: Waiting): string {
    const { demand } = queue;
    const { wished, others, size } = this.#eligibleFor(queue);
    if (size === 0) return `no connected node can run it: ${this.#explainLacks(demand)}`;
    const shown = [...wished.list, ...others.list].slice(0, 5).map((node) => `${node.id} ${busy(node, demand)}`);
    if (size > shown.length) shown.push(`and ${size - shown.length} more`);
    return `waits for room on ${size === 1 ? 'the node' : `one of ${size} nodes`} that can run it: ${shown.join('; ')}`;
  }
}

const first = <T>(set: ReadonlySet<T>): T | undefined => set.values().next().value;

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
