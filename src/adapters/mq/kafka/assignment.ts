/** A member of a consumer group, with the partitions of the topic that it had last. */
export interface Member {
  id: string;
  owned: readonly number[];
}

/**
 * Gives each partition to one member, evenly; whoever had one keeps it as far as that is even.
 * @returns partitions by member, each list ascending
 */
export function assignPartitions(count: number, members: readonly Member[]): Map<string, number[]> {
  const sorted = [...members].sort((one, other) => (one.id < other.id ? -1 : 1));
  const result = new Map<string, number[]>(sorted.map(({ id }) => [id, []]));
  if (sorted.length === 0) return result;
  const least = Math.floor(count / sorted.length);
  let extra = count % sorted.length;
  const free = new Set(Array.from({ length: count }, (_, partition) => partition));
  // Two members may claim one partition where one of them missed a rebalance: the first in order keeps it.
  for (const { id, owned } of sorted) {
    const kept = [...new Set(owned)].filter((partition) => free.has(partition));
    const room = kept.length > least && extra > 0 ? least + 1 : least;
    if (room > least) extra -= 1;
    for (const partition of kept.slice(0, room)) {
      free.delete(partition);
      result.get(id)?.push(partition);
    }
  }
  const rest = [...free];
  for (const goal of [least, least + 1])
    for (const list of result.values())
      while (list.length < goal && rest.length > 0 && (goal === least || list.length === least))
        list.push(rest.shift() ?? 0);
  for (const list of result.values()) list.sort((one, other) => one - other);
  return result;
}
