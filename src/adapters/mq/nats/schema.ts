import { flag, text, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';

const subject: JSONObject = text('NATS: the subject. The same as queue.', 255);
const stream: JSONObject = text('NATS: the stream, where it is not the one that takes the subject.', 255);

/** Params of `mq_publish` for NATS alone; `stream` and `jetstream` may stand in `options` as well. */
export const natsPublishParams: Record<string, JSONObject> = {
  subject,
  stream: {
    ...stream,
    description: 'NATS: the stream that is expected to take the messages; another one is an error.',
  },
  jetstream: flag('NATS: false publishes without JetStream, at most once, to whoever listens now. Default true.'),
};

/** Params of `mq_consume` and of triggers for NATS alone; all but `subject` may stand in `options` as well. */
export const natsConsumeParams: Record<string, JSONObject> = {
  subject,
  stream,
  replay: flag('Kafka, NATS: read what is there from `from` on for no group, and acknowledge nothing. Default false.'),
  max_bytes: whole(
    'Kafka, NATS: take no more messages once their bodies are so large together. Default 33554432.',
    1,
    1_073_741_824,
  ),
  ack_wait_ms: whole(
    'NATS: what a dead consumer held is delivered again after so long; used when the group is made. Default 30000.',
    500,
    86_400_000,
  ),
};

/** `from` for NATS; other brokers have forms of their own. */
export const natsFrom: JSONObject = {
  description:
    'NATS: where a new group, or a replay, begins: "earliest" (default), "latest", a time (RFC 3339), or a sequence of the stream.',
  anyOf: [
    { type: 'string', minLength: 1, maxLength: 64 },
    { type: 'integer', minimum: 1 },
  ],
};

/** Params of `mq_create_queue` for NATS alone; all but `subject` may stand in `options` as well. */
export const natsCreateParams: Record<string, JSONObject> = {
  subject,
  stream: { ...stream, description: 'NATS: name of the stream. Default: the subject, with "_" for dots.' },
  subjects: {
    type: 'array',
    items: { type: 'string', minLength: 1, maxLength: 255 },
    minItems: 1,
    maxItems: 1000,
    description: 'NATS: all subjects that the stream takes, wildcards included. Default: the subject.',
  },
  retention: {
    type: 'string',
    enum: ['limits', 'workqueue', 'interest'],
    description:
      'NATS: limits keeps messages (default), workqueue deletes what is acknowledged, interest what all groups have.',
  },
  storage: { type: 'string', enum: ['file', 'memory'], description: 'NATS: default file.' },
  discard: {
    type: 'string',
    enum: ['old', 'new'],
    description: 'NATS: what gives way when the stream is full. Default old.',
  },
  max_age_ms: whole('NATS: older messages are deleted. Default: none.', 1000),
  max_length: whole('NATS: most messages in the stream. Default: no limit.', 1),
  max_length_bytes: whole('NATS: most bytes in the stream. Default: no limit.', 1),
  max_message_bytes: whole("NATS: largest message. Default: the server's max_payload.", 1),
  replicas: whole(
    'Kafka, NATS: how many servers keep the messages. Default: what the Kafka broker has configured; 1 in NATS.',
    1,
    100,
  ),
  duplicate_window_ms: whole(
    'NATS: for so long a repetition of a message id is left out. Default 24 hours, or max_age_ms if that is less.',
    100,
  ),
};
