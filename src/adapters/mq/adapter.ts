import { abortable } from '../../kit/abortable.ts';
import { deadlineOf } from '../../kit/deadline.ts';
import { passwordWarnings } from '../../kit/lint.ts';
import { reachOf } from '../../kit/reach.ts';
import { retrying } from '../../kit/retry.ts';
import { verdictOf } from '../../kit/verdict.ts';
import { StepError } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { Adapter, AdapterContext, AdapterStep } from '../../ports/adapter.ts';
import type { Egress } from '../../ports/egress.ts';
import type { Broker } from './broker.ts';
import { Brokers, checkedBroker } from './connect.ts';
import { consume } from './consume.ts';
import { optionalQueue, queueOf, queueParams } from './params.ts';
import { publish } from './publish.ts';
import { stepTypes } from './schemas.ts';

const VERSION = '1.0.0';
/** Creating and purging, tries included. */
const timeoutMsDefault = 30_000;
const attempts = 3;

export interface MqOptions {
  /** Whom connections may reach. */
  egress: Egress;
}

/**
 * The adapter `mq`: `mq_publish`, `mq_consume`, `mq_create_queue` and `mq_purge` for RabbitMQ, Kafka, NATS and Redis Streams. Params,
 * outputs, errors and promises: docs/adapters/mq.md.
 */
export function createMqAdapter({ egress }: MqOptions): Adapter {
  const brokers = new Brokers(egress);
  return {
    getManifest: () => ({ adapter_id: 'mq', version: VERSION, step_types: stepTypes }),
    validate: (step) => verdictOf(() => problemOf(step)),
    lint: ({ params }) => passwordWarnings(params.broker, ['broker']),
    async execute({ type, params }, context): Promise<JSONValue> {
      context.signal.throwIfAborted();
      switch (type) {
        case 'mq_publish':
          return publish(brokers, params, context);
        case 'mq_consume':
          return consume(brokers, params, context);
        case 'mq_create_queue':
          return createQueue(brokers, params, context);
        case 'mq_purge':
          return purge(brokers, params, context);
        default:
          throw new StepError('INVALID_PARAMS', `the adapter mq has no step type "${type}"`);
      }
    },
    async healthCheck() {
      const opened = await brokers.opened();
      return { status: 'ok', timestamp: new Date().toISOString(), brokers: opened.map(({ system }) => system) };
    },
    close: () => brokers.close(),
  };
}

/** What the schema can't say. */
function problemOf({ type, params }: AdapterStep): string | undefined {
  if (typeof params.broker === 'string') checkedBroker(params.broker);
  const named = queueParams.filter((name) => params[name] !== undefined);
  // NATS: a subject within a stream.
  const both = named.length === 2 && named.includes('subject') && named.includes('stream');
  if (named.length > 1 && !both) return `params: ${named.join(' and ')} name the same thing; give one of them`;
  if (type === 'mq_publish') {
    if ((params.message === undefined) === (params.messages === undefined))
      return 'params: give either message, or messages';
    if (named.length === 0 && params.exchange === undefined)
      return 'params: say where to publish to: an exchange, or a queue (topic, subject, stream)';
    if (named.length > 0 && params.exchange !== undefined)
      return 'params: give an exchange with a routing_key, or a queue, not both';
    return undefined;
  }
  if (type === 'mq_create_queue' && params.exchange !== undefined) return undefined;
  return named.length === 0 && !Array.isArray(params.subjects)
    ? 'params.queue is missing (also written topic, subject or stream)'
    : undefined;
}

async function createQueue(brokers: Brokers, params: JSONObject, context: AdapterContext): Promise<JSONValue> {
  const queue = optionalQueue(params) ?? null;
  const output = await onBroker(brokers, params, context, (broker, signal) => broker.createQueue(params, signal));
  return { queue, ...output, result: queue ?? params.exchange ?? null };
}

async function purge(brokers: Brokers, params: JSONObject, context: AdapterContext): Promise<JSONValue> {
  const deleted = await onBroker(brokers, params, context, (broker, signal) => broker.purge(params, signal));
  return { purged: true, queue: queueOf(params), messages_deleted: deleted, result: deleted };
}

/** Runs what may be repeated, since a second time changes nothing. */
async function onBroker<T>(
  brokers: Brokers,
  params: JSONObject,
  context: AdapterContext,
  body: (broker: Broker, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = deadlineOf(context, timeoutMsDefault, 'MQ_TIMEOUT', 'the broker');
  const name = { text: String(params.broker), reach: reachOf(context), tenantId: context.tenant_id };
  const options = {
    attempts,
    signal: deadline.signal,
    again: (thrown: unknown) => thrown instanceof StepError && thrown.code === 'CONNECTION_FAILED' && thrown.retryable,
  };
  try {
    const once = (broker: Broker): Promise<T> => abortable(body(broker, deadline.signal), deadline.signal);
    return await retrying(options, () => brokers.use(name, once, deadline.signal));
  } finally {
    deadline.done();
  }
}
