import { fields, flag, object, text, whole } from '../../kit/schema.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';
import { kafkaConsumeParams, kafkaCreateParams, kafkaFrom, kafkaPublishParams } from './kafka/schema.ts';
import { natsConsumeParams, natsCreateParams, natsFrom, natsPublishParams } from './nats/schema.ts';

const ms = (description: string, maximum = 3_600_000, minimum = 0): JSONObject => whole(description, minimum, maximum);
const name = (description: string): JSONObject => text(description, 255);

const broker: JSONObject = text(
  'URL of the broker: amqp:// or rabbitmq:// (RabbitMQ), kafka://, nats://, redis:// (Streams); amqps://, rabbitmqs://, kafkas://, tls://, rediss:// with TLS. Usually a vault:// pointer.',
  4096,
);
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

const publishOptions: JSONObject = object('How to publish.', {
  ...kafkaPublishParams,
  ...natsPublishParams,
  persistent: flag('RabbitMQ: whether messages outlive a restart of the broker. Default true.'),
  priority: whole('RabbitMQ: of use in classic queues with the argument x-max-priority.', 0, 255),
  expiration: ms('RabbitMQ: after how many ms a message that nobody took is dropped.', 4_294_967_295),
  mandatory: flag('RabbitMQ: whether a message that reaches no queue is an error. Default true.'),
  key: {
    type: 'string',
    maxLength: 1024,
    description: 'Key of all messages: partition in Kafka; routing key in RabbitMQ where none is given.',
  },
  key_field: text('Path of the key within each message, such as user.id.', 1024),
  content_type: {
    type: 'string',
    pattern: '^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *;[ -~]*)?$',
    maxLength: 255,
    description: 'Default application/json; with text/plain a message that is a string is sent as it is.',
  },
  max_length: whole(
    'Redis: the stream is trimmed to about so many entries, the oldest first.',
    1,
    9_007_199_254_740_991,
  ),
  timeout: ms('How long a batch of up to 5,000 messages may take, in ms. Default 30,000.', 3_600_000, 1),
  retry_attempts: whole('Tries after the first, where the connection fails or the broker is busy. Default 2.', 0, 20),
});

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
  max_messages: whole('At most so many messages. Default 100.', 1, 50_000),
  wait_ms: ms('How long to wait for the first message, in ms. Default 1,000.'),
  group: name(
    'Kafka, NATS, Redis: consumers of one group share the messages. Default: jsonflow.<topic> in Kafka, jsonflow-<subject> with _ for dots and wildcards in NATS, jsonflow in Redis.',
  ),
  from: {
    description: `Where a new group begins, where the broker keeps messages: earliest (default), latest, a position, or a time. ${kafkaFrom.description} ${natsFrom.description}`,
    anyOf: [{ type: 'string', minLength: 1, maxLength: 64 }, { type: 'integer', minimum: 0 }, { type: 'object' }],
  },
  max_deliveries: whole(
    'A message that was delivered so often without an acknowledgement goes to the dead letters. Default 5.',
    1,
    1_000,
  ),
  dead_letter: name('Queue for messages that can not be processed. Default: the queue with .dead behind its name.'),
  retry_delay_ms: ms(
    'How long the messages of a step that fails wait until they are delivered again, in ms. Default 0 for steps, 1,000 for triggers.',
    604_800_000,
  ),
  content_type: text('Read every body as this, whatever the message says of itself.', 255),
  max_bytes: whole(
    'Take no more once so many bytes of bodies, keys and headers are there; what has come by then counts. Default 33,554,432 for steps; for triggers 67,108,864, of messages that are unsettled.',
    1,
    134_217_728,
  ),
  claim_after_ms: ms(
    'Redis: what a consumer holds goes to others once it was silent for so long, in ms. Default 60,000.',
    3_600_000,
    100,
  ),
  delete_acknowledged: flag(
    'Redis: delete entries from the stream once they are acknowledged; for streams with one group. Default false.',
  ),
};

const createParams: Record<string, JSONObject> = {
  ...kafkaCreateParams,
  ...natsCreateParams,
  broker,
  ...queues,
  type: { enum: ['quorum', 'classic', 'stream'], description: 'RabbitMQ: the type of queue. Default quorum.' },
  durable: flag('RabbitMQ: whether it outlives a restart of the broker. Default true.'),
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
        fields({
          routing_key: { type: 'string', maxLength: 255, description: 'Routing key; default: empty.' },
          arguments: { type: 'object', description: 'Arguments of the binding, for exchanges of type headers.' },
        }),
      ],
    },
  },
  arguments: { type: 'object', description: 'RabbitMQ: arguments of the queue, such as { "x-max-length": 1000 }.' },
  dead_letter: name('RabbitMQ: queue for what expires or overflows in this one; it is made, too.'),
  group: name('Redis: the consumer group to make. Default jsonflow.'),
  from: consumeParams.from ?? {},
};

/** The step types with their params: shown in validation errors, and the reference for docs/adapters/mq.md. */
export const stepTypes: StepTypeManifest[] = [
  {
    type: 'mq_publish',
    description: 'Publishes one message or many, and waits for the broker to confirm them.',
    params_schema: fields(publishParams, ['broker']),
  },
  {
    type: 'mq_consume',
    description: 'Takes messages, which are acknowledged once the step has been recorded.',
    params_schema: fields(consumeParams, ['broker']),
  },
  {
    type: 'mq_create_queue',
    description: 'Makes a queue, topic, subject or stream, unless it is there.',
    params_schema: fields(createParams, ['broker']),
  },
  {
    type: 'mq_purge',
    description: 'Deletes the messages of a queue.',
    params_schema: fields({ broker, ...queues }, ['broker']),
  },
];
