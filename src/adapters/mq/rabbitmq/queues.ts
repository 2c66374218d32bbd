import type { Channel } from 'amqplib';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import { optionalQueue, queueOf, refuseParams, streamParams } from '../params.ts';
import { type Link, onChannel } from './link.ts';

/** Declares what is missing of a queue, an exchange and the bindings between them. */
export async function createQueue(link: Link, params: JSONObject, signal: AbortSignal): Promise<JSONObject> {
  refuseParams(params, [...streamParams, 'group', 'from'], 'RabbitMQ');
  const queue = optionalQueue(params);
  const exchange = typeof params.exchange === 'string' ? params.exchange : undefined;
  if (queue === undefined && exchange === undefined)
    throw new StepError('INVALID_PARAMS', 'params: give a queue, an exchange, or both');
  let created = false;
  const output: JSONObject = {};
  let exchangeType: string | undefined;
  if (exchange !== undefined) {
    const type = typeof params.exchange_type === 'string' ? params.exchange_type : undefined;
    exchangeType = type ?? 'topic';
    const isNew = await ensure(link, signal, `the exchange ${exchange}`, {
      find: (channel) => channel.checkExchange(exchange),
      declare: (channel) =>
        channel.assertExchange(exchange, exchangeType ?? 'topic', { durable: params.durable !== false }),
      compare: type !== undefined,
    });
    created ||= isNew;
    Object.assign(output, { exchange });
  }
  if (queue !== undefined) {
    const dead = typeof params.dead_letter === 'string' ? params.dead_letter : undefined;
    if (dead !== undefined) await declareQueue(link, signal, dead, {});
    const isNew = await declareQueue(link, signal, queue, params);
    created ||= isNew;
    Object.assign(output, { queue });
    if (exchange !== undefined)
      await bind(link, signal, { queue, exchange, type: exchangeType, bindings: params.bindings });
    else if (params.bindings !== undefined)
      throw new StepError('INVALID_PARAMS', 'params.bindings need params.exchange to bind the queue to');
  }
  return { created, ...output };
}

export async function purge(link: Link, params: JSONObject, signal: AbortSignal): Promise<number> {
  const queue = queueOf(params);
  return onChannel(
    link,
    signal,
    `purging the queue ${queue}`,
    async (channel) => (await channel.purgeQueue(queue)).messageCount,
  );
}

async function declareQueue(link: Link, signal: AbortSignal, queue: string, params: JSONObject): Promise<boolean> {
  const durable = params.durable !== false;
  const type = typeof params.type === 'string' ? params.type : durable ? 'quorum' : 'classic';
  const dead = typeof params.dead_letter === 'string' ? params.dead_letter : undefined;
  const own = isObject(params.arguments) ? params.arguments : {};
  return ensure(link, signal, `the queue ${queue}`, {
    find: (channel) => channel.checkQueue(queue),
    declare: (channel) =>
      channel.assertQueue(queue, {
        durable,
        arguments: {
          'x-queue-type': type,
          ...(dead === undefined ? {} : { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead }),
          ...own,
        },
      }),
    // A dead letter queue that was made another way will do; what the step asks for must be what it gets.
    compare: params.queue !== undefined || optionalQueue(params) !== undefined,
  });
}

interface Declaration {
  find(channel: Channel): Promise<unknown>;
  declare(channel: Channel): Promise<unknown>;
  /** Whether one that is there must be like this one. */
  compare: boolean;
}

/** @returns whether it was not there before */
async function ensure(link: Link, signal: AbortSignal, what: string, declaration: Declaration): Promise<boolean> {
  const exists = await onChannel(link, signal, what, declaration.find).then(
    () => true,
    (thrown) => {
      if (thrown instanceof StepError && thrown.code === 'QUEUE_NOT_FOUND') return false;
      throw thrown;
    },
  );
  if (!exists || declaration.compare) await onChannel(link, signal, what, declaration.declare);
  return !exists;
}

interface Binding {
  queue: string;
  exchange: string;
  type: string | undefined;
  bindings: JSONObject[string] | undefined;
}

async function bind(link: Link, signal: AbortSignal, { queue, exchange, type, bindings }: Binding): Promise<void> {
  const byDefault = type === 'topic' ? '#' : type === 'direct' ? queue : '';
  const list = Array.isArray(bindings) ? bindings : [byDefault];
  await onChannel(link, signal, `binding the queue ${queue} to the exchange ${exchange}`, async (channel) => {
    for (const binding of list) {
      const { routing_key = '', arguments: args = {} } = isObject(binding) ? binding : { routing_key: binding };
      await channel.bindQueue(queue, exchange, String(routing_key), args);
    }
  });
}
