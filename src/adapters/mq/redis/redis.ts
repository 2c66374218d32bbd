import { randomUUID } from 'node:crypto';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Broker, BrokerTarget, OpenBroker } from '../broker.ts';
import { queueOf, refuseParams, streamParams } from '../params.ts';
import { within } from '../waiting.ts';
import { consume, subscribe } from './consume.ts';
import { isReplyOf, redisError } from './errors.ts';
import { Group, groupDefault, startOf } from './group.ts';
import { Link } from './link.ts';
import { publish } from './publish.ts';
import { purgeScript } from './scripts.ts';

const pingTimeoutMs = 5_000;
const groupsMax = 1_000;
const leaveMs = 1_000;

/** Redis Streams, from Redis 6.2 on: consumer groups, with every step of a message's life one atomic script. */
export const openRedisStreams: OpenBroker = async (target: BrokerTarget): Promise<Broker> => {
  const link = new Link(target);
  const consumer = `jsonflow-${randomUUID()}`;
  const groups = new Map<string, Group>();
  const groupOf = (params: JSONObject): Group => {
    refuseParams(params, ['exchange'], 'Redis Streams');
    const group = new Group(link, consumer, params);
    if (groups.size < groupsMax) groups.set(`${group.stream} ${params.group ?? ''}`, group);
    return group;
  };
  return {
    system: 'redis',
    publish: (request) => publish(link, request),
    consume: async (request) => consume(groupOf(request.params), request),
    subscribe: async (request) => subscribe(groupOf(request.params), request),
    createQueue: (params, signal) => createStream(link, params, signal),
    async purge(params, signal) {
      const stream = queueOf(params);
      try {
        return Number(await link.script(purgeScript, [stream], [], signal));
      } catch (thrown) {
        signal.throwIfAborted();
        throw redisError(thrown, `purging the stream ${stream}`, 'CONSUME_FAILED');
      }
    },
    async ping() {
      try {
        await link.command(['PING'], AbortSignal.timeout(pingTimeoutMs));
      } catch (thrown) {
        throw redisError(thrown, 'asking Redis', 'CONNECTION_FAILED');
      }
    },
    async close() {
      if (link.isOpen) await within(leaveMs, Promise.allSettled([...groups.values()].map((group) => group.leave())));
      groups.clear();
      await link.close();
    },
  };
};

async function createStream(link: Link, params: JSONObject, signal: AbortSignal): Promise<JSONObject> {
  refuseParams(
    params,
    [...streamParams, 'exchange', 'exchange_type', 'bindings', 'arguments', 'dead_letter'],
    'Redis Streams',
  );
  if (params.type !== undefined && params.type !== 'stream')
    throw new StepError('UNSUPPORTED', 'params.type: in Redis a queue is a stream');
  const queue = queueOf(params);
  const group = typeof params.group === 'string' ? params.group : groupDefault;
  try {
    await link.command(['XGROUP', 'CREATE', queue, group, startOf(params.from), 'MKSTREAM'], signal);
    return { created: true, queue, group };
  } catch (thrown) {
    signal.throwIfAborted();
    if (isReplyOf(thrown, 'BUSYGROUP')) return { created: false, queue, group };
    throw redisError(thrown, `creating the stream ${queue}`, 'QUEUE_MISMATCH');
  }
}
