import { fields, flag, object, text, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { tlsSchema } from '../http/schema.ts';

/** Names of gRPC's statuses, at the index of their number. */
export const statusNames = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

const statuses = (description: string): JSONObject => ({
  type: 'array',
  description,
  maxItems: statusNames.length,
  items: { enum: statusNames },
});

const retry: JSONObject = object('More tries of a call that is idempotent, or that never reached the server.', {
  attempts: whole('Tries after the first. Default 0.', 0, 20),
  backoff: { enum: ['exponential', 'fixed'], description: 'How the waits grow. Default exponential.' },
  base_ms: whole('Wait before the second try. Default 100.', 0, 600_000),
  max_ms: whole('Longest wait. Default 10,000.', 0, 600_000),
  jitter: flag('Spreads each wait over 0 to its length. Default true.'),
  statuses: statuses('Statuses that are tried again. Default UNAVAILABLE.'),
});

const options: JSONObject = object('How to call.', {
  timeout: whole('Ms for the whole step, also told to the server as its deadline. Default 30,000.', 1, 86_400_000),
  retry,
  idempotent: flag('Whether calling twice does no harm. Default: what the method says of itself (idempotency_level).'),
  idempotency_key: {
    description: 'Sends metadata that names this step, the same for each attempt: true, or its name. Default false.',
    anyOf: [{ type: 'boolean' }, text('Name of the metadata; true stands for idempotency-key.', 128)],
  },
  max_bytes: whole('The largest message of the answer. Default 16 MiB.', 1, 268_435_456),
  max_total_bytes: whole('All messages of the answer together. Default 1 GiB.', 1, 1_099_511_627_776),
  max_messages: whole('Ends a stream when so many messages have come. Default: to its own end.', 1, 1_000_000_000),
  max_inline: whole('Messages that the output holds itself; more are stored. Default 10,000.', 0, 1_000_000),
  defaults: flag('Whether fields that have their default value stand in the answer. Default true.'),
  proto_names: flag('Field names of the answer as in the .proto file, instead of lowerCamelCase. Default false.'),
});

/** Params of `network_grpc`; the reference for docs/adapters/network-grpc.md. */
export const grpcSchema: JSONObject = fields(
  {
    url: {
      ...text('grpc://host:port (plain text), grpcs://host[:port] (TLS), or host:port; without path and user.', 4096),
      pattern: '^([gG][rR][pP][cC][sS]?://)?(\\[[0-9a-fA-F:.]+\\]|[a-zA-Z0-9_][a-zA-Z0-9_.-]*)(:[0-9]{1,5})?/?$',
    },
    tls: {
      description: 'TLS for host:port (true), and what goes beyond the defaults.',
      anyOf: [{ type: 'boolean' }, tlsSchema],
    },
    service: text('Full name of the service, such as shop.v1.Orders.', 512),
    method: text('Name of the method; or package.Service/Method, without `service`.', 1024),
    message: { description: 'The request, in the JSON form of its type. Default {}.' },
    messages: {
      description: 'The requests, where the client streams: a list, or what another step has stored.',
      anyOf: [{ type: 'array', maxItems: 1_000_000 }, { type: 'object' }],
    },
    proto: text('Text of the .proto file. Without it the server is asked (reflection).', 1_048_576),
    protos: {
      type: 'object',
      description: 'Texts of .proto files by the names under which they import each other.',
      minProperties: 1,
      maxProperties: 200,
      additionalProperties: { type: 'string' },
    },
    metadata: {
      type: 'object',
      description: 'Metadata to send, by name; names that end in -bin take base64. Secrets as vault:// pointers.',
      maxProperties: 100,
      additionalProperties: {
        anyOf: [{ type: 'string' }, { type: 'array', maxItems: 100, items: { type: 'string' } }],
      },
    },
    options,
    expect: object('What counts as an answer.', {
      status: statuses('Statuses besides OK that are no failure, such as NOT_FOUND.'),
    }),
  },
  ['url', 'method'],
);
