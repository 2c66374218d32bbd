import type { JSONObject } from '../../lib/json.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';
import { kafkaConsumeParams, kafkaCreateParams, kafkaFrom, kafkaPublishParams } from './kafka/schema.ts';
import { natsConsumeParams, natsCreateParams, natsFrom, natsPublishParams } from './nats/schema.ts';

const ms = (description: string, maximum = 3_600_000, minimum = 0): JSONObject => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});
const name = (description: string): JSONObject => ({ type: 'string', minLength: 1, maxLength: 255, description });

const broker: JSONObject = {
  type: 'string',
  minLength: 1,
  maxLength: 4096,
  description:
    'URL of the broker: amqp:// or rabbitmq:// (RabbitMQ), kafka://, nats://, redis:// (Streams); amqps://, rabbitmqs://, kafkas://, tls://, rediss:// with TLS. Usually a vault:// pointer.',
};
const queues: Record<string, JSONObject> = {
  queue: name('The queue: a topic in Kafka, a subject or stream in NATS, a stream in Redis.'),
  topic: name('The same as queue, as Kafka calls it.'),
  subject: name('The same as queue, as NATS calls it.'),
  stream: name('The same as queue, as Redis calls it; in NATS the stream that has the subject.'),
};

const headers: JSONObject = {
  type: 'object',
  maxProperties: 100,
  propertyNames: { pattern: '^[A-Za-z0-9_.-]{1,128}$' },
  additionalProperties: {
    anyOf: [{ type: 'string', maxLength: 8192, pattern: '^[^\\r\\n]*$' }, { type: 'number' }, { type: 'boolean' }],
  },
  description: 'Headers of every message, as texts.',
};

const publishOptions: JSONObject = {
  type: 'object',
  properties: {
    ...kafkaPublishParams,
    ...natsPublishParams,
    persistent: {
      type: 'boolean',
      description: 'RabbitMQ: whether messages outlive a restart of the broker. Default true.',
    },
    priority: {
      type: 'integer',
      minimum: 0,
      maximum: 255,
      description: 'RabbitMQ: of use in classic queues with the argument x-max-priority.',
    },
    expiration: ms('RabbitMQ: after how many ms a message that nobody took is dropped.', 4_294_967_295),
    mandatory: {
      type: 'boolean',
      description: 'RabbitMQ: whether a message that reaches no queue is an error. Default true.',
    },
    key: {
      type: 'string',
      maxLength: 1024,
      description: 'Key of all messages: partition in Kafka; routing key in RabbitMQ where none is given.',
    },
    key_field: {
      type: 'string',
      minLength: 1,
      maxLength: 1024,
      description: 'Path of the key within each message, such as user.id.',
    },
    content_type: {
      type: 'string',
      pattern: '^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *;[ -~]*)?$',
      maxLength: 255,
      description: 'Default application/json; with text/plain a message that is a string is sent as it is.',
    },
    max_length: {
      type: 'integer',
      minimum: 1,
      maximum: 9_007_199_254_740_991,
      description: 'Redis: the stream is trimmed to about so many entries, the oldest first.',
    },
    timeout: ms('How long a batch of up to 5,000 messages may take, in ms. Default 30,000.', 3_600_000, 1),
    retry_attempts: {
      type: 'integer',
      minimum: 0,
      maximum: 20,
      description: 'Tries after the first, where the connection fails or the broker is busy. Default 2.',
    },
  },
  additionalProperties: false,
  description: 'How to publish.',
};

const messages: JSONObject = {
  description: 'Several messages: a list, or rows that an earlier step stored because they are many.',
  anyOf: [{ type: 'array' }, { type: 'object' }],
};

const publishParams: Record<string, JSONObject> = {
  ...kafkaPublishParams,
  ...natsPublishParams,
  broker,
  ...queues,
  exchange: {
    type: 'string',
    maxLength: 255,
    description: 'RabbitMQ: publish to this exchange instead of straight to a queue.',
  },
  routing_key: {
    type: 'string',
    maxLength: 255,
    description: 'RabbitMQ: with exchange. Default: the key of the message, or nothing.',
  },
  message: { description: 'One message: any JSON; { "$bytes": "<base64>" } for bytes.' },
  messages,
  headers,
  options: publishOptions,
  idempotency: {
    enum: ['on', 'off'],
    description: 'With "off" the broker is not asked to drop what it has already. Default "on".',
  },
};

const consumeParams: Record<string, JSONObject> = {
  ...kafkaConsumeParams,
  ...natsConsumeParams,
  broker,
  ...queues,
  max_messages: { type: 'integer', minimum: 1, maximum: 50_000, description: 'At most so many messages. Default 100.' },
  wait_ms: ms('How long to wait for the first message, in ms. Default 1,000.'),
  group: name(
    'Kafka, NATS, Redis: consumers of one group share the messages. Default: jsonflow.<topic> in Kafka, jsonflow-<subject> with _ for dots and wildcards in NATS, jsonflow in Redis.',
  ),
  from: {
    description: `Where a new group begins, where the broker keeps messages: earliest (default), latest, a position, or a time. ${kafkaFrom.description} ${natsFrom.description}`,
    anyOf: [{ type: 'string', minLength: 1, maxLength: 64 }, { type: 'integer', minimum: 0 }, { type: 'object' }],
  },
  max_deliveries: {
    type: 'integer',
    minimum: 1,
    maximum: 1_000,
    description:
      'A message that was delivered so often without an acknowledgement goes to the dead letters. Default 5.',
  },
  dead_letter: name('Queue for messages that can not be processed. Default: the queue with .dead behind its name.'),
  retry_delay_ms: ms(
    'How long the messages of a step that fails wait until they are delivered again, in ms. Default 0 for steps, 1,000 for triggers.',
    604_800_000,
  ),
  content_type: {
    type: 'string',
    maxLength: 255,
    minLength: 1,
    description: 'Read every body as this, whatever the message says of itself.',
  },
  max_bytes: {
    type: 'integer',
    minimum: 1,
    maximum: 134_217_728,
    description:
      'Take no more once so many bytes of bodies, keys and headers are there; what has come by then counts. Default 33,554,432 for steps; for triggers 67,108,864, of messages that are unsettled.',
  },
  claim_after_ms: ms(
    'Redis: what a consumer holds goes to others once it was silent for so long, in ms. Default 60,000.',
    3_600_000,
    100,
  ),
  delete_acknowledged: {
    type: 'boolean',
    description:
      'Redis: delete entries from the stream once they are acknowledged; for streams with one group. Default false.',
  },
};

const createParams: Record<string, JSONObject> = {
  ...kafkaCreateParams,
  ...natsCreateParams,
  broker,
  ...queues,
  type: { enum: ['quorum', 'classic', 'stream'], description: 'RabbitMQ: the type of queue. Default quorum.' },
  durable: { type: 'boolean', description: 'RabbitMQ: whether it outlives a restart of the broker. Default true.' },
  exchange: name('RabbitMQ: declare this exchange, too, and bind the queue to it.'),
  exchange_type: {
    enum: ['direct', 'topic', 'fanout', 'headers'],
    description: 'RabbitMQ: default topic, or what the exchange is already.',
  },
  bindings: {
    type: 'array',
    maxItems: 1_000,
    description:
      'RabbitMQ: routing keys that bind the queue to the exchange. Default: # for topic, the name of the queue for direct, nothing for others.',
    items: {
      anyOf: [
        { type: 'string', maxLength: 255, description: 'A routing key.' },
        {
          type: 'object',
          properties: {
            routing_key: { type: 'string', maxLength: 255, description: 'Routing key; default: empty.' },
            arguments: { type: 'object', description: 'Arguments of the binding, for exchanges of type headers.' },
          },
          additionalProperties: false,
        },
      ],
    },
  },
  arguments: { type: 'object', description: 'RabbitMQ: arguments of the queue, such as { "x-max-length": 1000 }.' },
  dead_letter: name('RabbitMQ: queue for what expires or overflows in this one; it is made, too.'),
  group: name('Redis: the consumer group to make. Default jsonflow.'),
  from: consumeParams.from ?? {},
};

const paramsOf = (properties: Record<string, JSONObject>): JSONObject => ({
  type: 'object',
  properties,
  required: ['broker'],
  additionalProperties: false,
});

/** The step types with their params: shown in validation errors, and the reference for docs/adapters/mq.md. */
export const stepTypes: StepTypeManifest[] = [
  {
    type: 'mq_publish',
    description: 'Publishes one message or many, and waits for the broker to confirm them.',
    params_schema: paramsOf(publishParams),
  },
  {
    type: 'mq_consume',
    description: 'Takes messages, which are acknowledged once the step has been recorded.',
    params_schema: paramsOf(consumeParams),
  },
  {
    type: 'mq_create_queue',
    description: 'Makes a queue, topic, subject or stream, unless it is there.',
    params_schema: paramsOf(createParams),
  },
  {
    type: 'mq_purge',
    description: 'Deletes the messages of a queue.',
    params_schema: paramsOf({ broker, ...queues }),
  },
];
