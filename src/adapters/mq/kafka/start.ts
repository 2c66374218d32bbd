import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import { paramOf } from '../params.ts';
import type { Cluster, Topic } from './cluster.ts';
import { earliestOffsets, latestOffsets, offsetsOf } from './topics.ts';

/** Where reading begins: for a group that has committed nothing yet, and for a replay. */
export type Start =
  | { kind: 'earliest' }
  | { kind: 'latest' }
  | { kind: 'time'; ms: number }
  | { kind: 'offsets'; offsets: Map<number, number> };

/** @throws StepError INVALID_PARAMS */
export function startOf(params: JSONObject): Start {
  const from = paramOf(params, 'from');
  if (from === undefined || from === 'earliest' || from === 'all') return { kind: 'earliest' };
  if (from === 'latest' || from === 'new') return { kind: 'latest' };
  if (typeof from === 'string') {
    const ms = Date.parse(from);
    if (/^\d{4}-\d{2}-\d{2}/.test(from) && Number.isFinite(ms)) return { kind: 'time', ms };
  }
  if (isObject(from)) {
    const offsets = new Map<number, number>();
    for (const key of Object.keys(from)) {
      const value = from[key];
      if (!/^\d{1,6}$/.test(key) || typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
        throw new StepError('INVALID_PARAMS', 'from must have offsets by partition, such as { "0": 1200 }');
      offsets.set(Number(key), value);
    }
    return { kind: 'offsets', offsets };
  }
  throw new StepError(
    'INVALID_PARAMS',
    'from must be "earliest", "latest", a time such as "2026-01-31T12:00:00Z", or offsets by partition',
  );
}

/** @returns an offset for each partition of the topic */
export async function startOffsets(
  cluster: Cluster,
  topic: Topic,
  start: Start,
  signal: AbortSignal,
): Promise<Map<number, number>> {
  if (start.kind === 'latest') return latestOffsets(cluster, topic, signal);
  const first = await earliestOffsets(cluster, topic, signal);
  if (start.kind === 'earliest') return first;
  if (start.kind === 'offsets')
    return new Map([...first].map(([partition, offset]) => [partition, start.offsets.get(partition) ?? offset]));
  const found = await offsetsOf(cluster, topic, BigInt(start.ms), signal);
  const last = await latestOffsets(cluster, topic, signal);
  // -1: nothing is as late as that.
  return new Map(
    [...found].map(([partition, offset]) => [partition, offset < 0 ? (last.get(partition) ?? 0) : offset]),
  );
}
