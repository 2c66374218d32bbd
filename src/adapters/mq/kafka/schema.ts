import { flag, text, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';

const topic: JSONObject = text('Kafka: the topic. The same as queue.', 249);
const partition = (description: string): JSONObject => whole(description, 0, 100_000);

/** Params of `mq_publish` for Kafka alone; each may stand in `options` as well. */
export const kafkaPublishParams: Record<string, JSONObject> = {
  topic,
  partition: partition('Kafka: the partition; default: by the key, or else by the message id.'),
  compression: {
    type: 'string',
    enum: ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    description: 'Kafka: how batches are compressed. Default none.',
  },
};

/** Params of `mq_consume` and of triggers for Kafka alone; each may stand in `options` as well. */
export const kafkaConsumeParams: Record<string, JSONObject> = {
  topic,
  replay: flag('Kafka, NATS: read what is there from `from` on for no group, and acknowledge nothing. Default false.'),
  partition: partition('Kafka: with replay, the one partition to read.'),
  max_bytes: whole(
    'Kafka, NATS: take no more messages once their bodies are so large together. Default 33554432.',
    1,
    1_073_741_824,
  ),
  session_timeout_ms: whole(
    'Kafka: a consumer that is silent for so long counts as dead, and others get its messages; the broker sets bounds. Default 15000.',
    1000,
    300_000,
  ),
};

/** `from` for Kafka; other brokers have forms of their own. */
export const kafkaFrom: JSONObject = {
  description:
    'Kafka: where a group without a committed offset, or a replay, begins: "earliest" (default), "latest", a time (RFC 3339), or offsets by partition.',
  anyOf: [
    { type: 'string', minLength: 1, maxLength: 64 },
    { type: 'object', additionalProperties: { type: 'integer', minimum: 0 }, minProperties: 1 },
  ],
};

/** Params of `mq_create_queue` for Kafka alone; each may stand in `options` as well. */
export const kafkaCreateParams: Record<string, JSONObject> = {
  topic,
  partitions: whole("Kafka: default: the broker's num.partitions.", 1, 100_000),
  replicas: whole(
    'Kafka, NATS: how many servers keep the messages. Default: what the Kafka broker has configured; 1 in NATS.',
    1,
    100,
  ),
  config: {
    type: 'object',
    additionalProperties: { type: ['string', 'number', 'boolean'] },
    description: 'Kafka: settings of the topic, such as { "retention.ms": 86400000, "cleanup.policy": "compact" }.',
  },
};
