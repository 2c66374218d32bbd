import { fields, flag, object, text, whole } from '../../kit/schema.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';
import { graphqlSchema } from './graphql/schema.ts';
import { grpcSchema } from './grpc/schema.ts';
import {
  authSchema,
  headersSchema,
  httpOptions,
  querySchema,
  tlsSchema,
  urlSchema,
  webSocketUrlSchema,
} from './http/schema.ts';

const path = (description: string): JSONObject => ({ type: 'string', maxLength: 1024, description });
const part = object(
  'A part: name, and value, bytes or stored.',
  {
    name: text('Name of the field.', 1024),
    value: { description: 'A text, or anything else as JSON.' },
    bytes: { description: 'Base64, or { "$bytes": base64 }.', type: ['string', 'object'] },
    stored: { description: 'What another step has stored, usually a reference.', type: 'object' },
    filename: text('Name of the file.', 1024),
    content_type: text('Media type of the part.', 256),
  },
  ['name'],
);

const statusForm: JSONObject = {
  anyOf: [
    { type: 'integer', minimum: 100, maximum: 599 },
    { type: 'string', pattern: '^([1-5]xx|[1-5][0-9]{2}(-[1-5][0-9]{2})?|any)$' },
  ],
};

const expect = object('What the response must be; otherwise the step fails.', {
  status: {
    description: 'A status, "2xx", "200-299", "any", or a list of these. Default "2xx".',
    anyOf: [statusForm, { type: 'array', minItems: 1, maxItems: 100, items: statusForm }],
  },
  content_type: {
    description: 'Media type, such as application/json or text/*, or a list of them.',
    anyOf: [text('Media type.', 256), { type: 'array', minItems: 1, maxItems: 20, items: text('Media type.', 256) }],
  },
  schema: {
    type: 'object',
    description: 'JSON Schema of the body (draft 2020-12, or 7 where $schema or definitions say so).',
  },
});

const next: JSONObject = {
  description: 'How one page leads to the next: one of link, url, cursor, page, offset.',
  oneOf: [
    object('By the header `link`.', { link: text('Relation, usually next.', 100) }, ['link']),
    object('By a URL in the body.', { url: text('Path of the URL.', 1024) }, ['url']),
    object(
      'By a cursor in the body, which becomes a parameter of the URL.',
      { cursor: text('Path of the cursor.', 1024), param: text('The parameter. Default cursor.', 256) },
      ['cursor'],
    ),
    object(
      'By number, until a page has no items.',
      { page: text('The parameter.', 256), start: whole('Number of the first page. Default 1.', 0, 1_000_000) },
      ['page'],
    ),
    object(
      'By the items so far, until a page has none.',
      { offset: text('The parameter.', 256), start: whole('The first offset. Default 0.', 0, 1_000_000_000) },
      ['offset'],
    ),
  ],
};

const pagination = object(
  'Asks for page after page; the result is the items of all. Pages are JSON.',
  {
    next,
    items: path('Path of the list in a page. Default: the page itself.'),
    max_pages: whole('Pages that are asked for. Default 100.', 1, 10_000),
    max_items: whole('Items after which it ends. Default 1,000,000.', 1, 100_000_000),
  },
  ['next'],
);

const requestSchema: JSONObject = fields(
  {
    method: {
      ...text('Method of HTTP, in any case, but not CONNECT and TRACE. Default GET.', 32),
      pattern: '^[a-zA-Z][a-zA-Z-]*$',
      not: { enum: ['CONNECT', 'TRACE', 'connect', 'trace'] },
    },
    url: urlSchema,
    query: querySchema,
    headers: headersSchema,
    body: {
      description:
        'An object or list goes as JSON, a text as it is, { "$bytes": base64 } as bytes, and stored data as a stream.',
    },
    form: {
      type: 'object',
      description: 'Instead of body: fields, sent as application/x-www-form-urlencoded.',
      maxProperties: 10_000,
    },
    multipart: {
      type: 'array',
      description: 'Instead of body: parts, sent as multipart/form-data.',
      minItems: 1,
      maxItems: 1000,
      items: part,
    },
    auth: authSchema,
    tls: tlsSchema,
    expect,
    pagination,
    options: object('How it is sent and read.', {
      ...httpOptions,
      max_inline_bytes: whole(
        'The largest body that the output holds itself; a larger one goes to the blob store. Default 1 MiB.',
        0,
        67_108_864,
      ),
      parse: {
        enum: ['json', 'ndjson', 'text', 'bytes'],
        description: 'How the body is read. Default: as its content type says.',
      },
    }),
  },
  ['url'],
);

const websocketSchema: JSONObject = fields(
  {
    url: webSocketUrlSchema,
    query: querySchema,
    headers: headersSchema,
    auth: authSchema,
    protocols: {
      type: 'array',
      description: 'Subprotocols to offer, the best first.',
      maxItems: 20,
      items: text('Name.', 256),
    },
    tls: tlsSchema,
    send: {
      type: 'array',
      description: 'Messages: a text as it is, { "$bytes": base64 } as a binary one, anything else as JSON.',
      maxItems: 10_000,
    },
    collect: object(
      'What to wait for; the first of these ends it. Empty: until the server closes. Without it nothing is waited for.',
      {
        count: whole('So many messages.', 1, 1_000_000),
        until: object(
          'A message that has a value somewhere.',
          {
            path: path('Path in the message; empty for the message itself.'),
            equals: { description: 'The value, compared deeply and by type.' },
          },
          ['equals'],
        ),
        duration_ms: whole('So long, from the opening on.', 1, 86_400_000),
      },
    ),
    options: object('Limits and manners.', {
      timeout: whole('Ms for the whole step. Default 30,000.', 1, 86_400_000),
      wait_reply: flag('Sends each message after an answer to the one before. Default false.'),
      parse: {
        enum: ['auto', 'json', 'text'],
        description: 'How texts are read. Default auto: JSON objects and lists are parsed, others stay texts.',
      },
      max_messages: whole('Messages that may come. Default 10,000.', 1, 1_000_000),
      max_bytes: whole('Bytes of all messages. Default 16 MiB.', 1, 268_435_456),
      max_message_bytes: whole('Bytes of one, decompressed. Default max_bytes.', 1, 268_435_456),
      ping_ms: whole(
        'Time between pings; without any sign of life in one the connection is given up. Default 15,000.',
        100,
        3_600_000,
      ),
      repeatable: flag(
        'Whether sending the messages twice does no harm, so that a failure may be tried again. Default false.',
      ),
    }),
  },
  ['url'],
);

/** The step types with their params: shown in validation errors, and the reference for docs/adapters/network.md. */
export const stepTypes: StepTypeManifest[] = [
  {
    type: 'network_request',
    description: 'Sends an HTTP request, with redirects, retries, checks and pagination.',
    deterministic: false,
    params_schema: requestSchema,
  },
  {
    type: 'network_graphql',
    description: 'Sends a GraphQL operation.',
    deterministic: false,
    params_schema: graphqlSchema,
  },
  { type: 'network_grpc', description: 'Calls a gRPC method.', deterministic: false, params_schema: grpcSchema },
  {
    type: 'network_websocket',
    description: 'Opens a WebSocket, sends messages and collects what comes.',
    deterministic: false,
    params_schema: websocketSchema,
  },
];
