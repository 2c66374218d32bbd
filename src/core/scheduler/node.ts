import { type Demand, unmetered } from './demand.ts';

/** A node as the scheduler sees it. The scheduler alone changes `running` and `used`. */
export interface SchedulerNode {
  readonly id: string;
  /** The coordinator's own worker. */
  readonly local: boolean;
  readonly adapters: ReadonlySet<string>;
  readonly stepTypes: ReadonlySet<string>;
  readonly labels: Readonly<Record<string, string>>;
  /** Back ends that the node offers; empty where it leaves that to its adapters. */
  readonly backends: readonly string[];
  readonly total: Readonly<Record<string, number>>;
  readonly slots: number;
  running: number;
  readonly used: Record<string, number>;
  /** Smoothed round trip; undefined until measured. */
  latencyMs: number | undefined;
  /** Suspected nodes get nothing new. */
  suspected: boolean;
}

/** What the node lacks for good, whatever runs there: empty where it could run the step. One phrase each. */
export function lacks(node: SchedulerNode, demand: Demand): string[] {
  const missing: string[] = [];
  if (demand.localOnly && !node.local)
    missing.push('the workflow is not distributed, so only the coordinator may run it');
  if (!node.stepTypes.has(demand.stepType)) missing.push(`offers no adapter for ${demand.stepType}`);
  if (demand.requireNode !== undefined && demand.requireNode !== node.id)
    missing.push(`is not node ${demand.requireNode}`);
  for (const [key, value] of Object.entries(demand.requireLabels ?? {})) {
    const has = Object.hasOwn(node.labels, key) ? node.labels[key] : undefined;
    if (has !== value)
      missing.push(`has ${has === undefined ? 'no label' : `label ${key}=${has}, not`} ${key}=${value}`);
  }
  if (demand.backend !== undefined && node.backends.length > 0 && !node.backends.includes(demand.backend))
    missing.push(`has no back end ${demand.backend} (has ${node.backends.join(', ')})`);
  for (const [name, amount] of Object.entries(demand.resources)) {
    const total = node.total[name];
    if (total === undefined ? !unmetered.has(name) : total < amount)
      missing.push(`has ${total ?? 0} ${name}, the step needs ${amount}`);
  }
  return missing;
}

/** Whether the node has room for the step right now. */
export function hasRoom(node: SchedulerNode, demand: Demand): boolean {
  if (node.suspected || node.running >= node.slots) return false;
  for (const name in demand.resources) {
    const total = node.total[name];
    if (total !== undefined && total - (node.used[name] ?? 0) < (demand.resources[name] ?? 0)) return false;
  }
  return true;
}

/** Reserves what a step needs; whoever takes gives back. */
export function take(node: SchedulerNode, demand: Demand): void {
  node.running += 1;
  for (const name in demand.resources) node.used[name] = (node.used[name] ?? 0) + (demand.resources[name] ?? 0);
}

/** Ends a reservation. */
export function giveBack(node: SchedulerNode, demand: Demand): void {
  node.running -= 1;
  for (const name in demand.resources) node.used[name] = (node.used[name] ?? 0) - (demand.resources[name] ?? 0);
}

/** Free amounts of what the node declares. */
export const freeOf = (node: SchedulerNode): Record<string, number> =>
  Object.fromEntries(Object.entries(node.total).map(([name, total]) => [name, total - (node.used[name] ?? 0)]));

/** Whether the node is what the step wishes for. */
export function matchesWish(node: SchedulerNode, wish: string): boolean {
  if (node.id === wish) return true;
  if (wish.endsWith('_capable')) return node.adapters.has(wish.slice(0, -'_capable'.length));
  const equals = wish.indexOf('=');
  if (equals > 0) {
    const key = wish.slice(0, equals);
    return Object.hasOwn(node.labels, key) && node.labels[key] === wish.slice(equals + 1);
  }
  return false;
}

/** Wishes that rank nodes, rather than pick some: each gives a score from 0 to 50. */
export const rankings: ReadonlyMap<string, (node: SchedulerNode) => number> = new Map([
  ['high_compute', (node) => Math.min(50, (node.total.cpu_cores ?? 0) - (node.used.cpu_cores ?? 0))],
  ['high_memory', (node) => Math.min(50, ((node.total.ram_mb ?? 0) - (node.used.ram_mb ?? 0)) / 4096)],
  ['low_latency', (node) => 50 - Math.min(50, node.latencyMs ?? 50)],
]);
