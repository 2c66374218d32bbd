import { flag, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';

const key: JSONObject = { type: 'string', maxLength: 4_096, description: 'Redis: a key.' };
const keys: JSONObject = {
  type: 'array',
  minItems: 1,
  maxItems: 100_000,
  items: { type: 'string' },
  description: 'Redis: keys.',
};
const command: JSONObject = {
  type: 'array',
  minItems: 1,
  maxItems: 4_000,
  description: 'Redis: a command, such as ["GET", "key"].',
};
const commands: JSONObject = {
  type: 'array',
  minItems: 1,
  maxItems: 10_000,
  items: command,
  description:
    'Redis: commands in their order, such as [["GET", "key"]]. The reference lists those that steps may use.',
};
const write: Record<string, JSONObject> = {
  commands,
  key,
  value: { description: 'Redis: the value of the key: text as it is, anything else as JSON.' },
  ttl_ms: whole('Redis: ms after which the keys end. Default: never.', 1),
  data: { description: 'Rows: each becomes a hash.' },
  key_field: { type: 'string', minLength: 1, description: 'Redis: the field of each row whose value names its key.' },
  key_prefix: { type: 'string', description: 'Redis: what stands before that value in the key. Default: nothing.' },
};

/** Params of steps whose connection is a Redis, by step type, beside those that all databases share. */
export const redisParams = {
  db_query: {
    commands,
    key,
    keys,
    pattern: { type: 'string', minLength: 1, description: 'Redis: all keys that match, such as "user:*".' },
    key_type: {
      enum: ['string', 'list', 'set', 'zset', 'hash', 'stream'],
      description: 'Redis: with pattern, keys of this type alone.',
    },
    values: flag('Redis: with pattern, read the values, too. Default false.'),
    limit: whole('Rows at most; 0 means all.', 0),
  },
  db_insert: {
    ...write,
    if_exists: {
      enum: ['error', 'ignore', 'update'],
      description: 'Redis: what to do where the key is there: fail (default), leave it, or write anyway.',
    },
  },
  db_update: {
    ...write,
    keys,
    delete: flag('true: delete instead of changing.'),
  },
  db_transaction: {
    commands,
    /** Of an element of `operations`. */
    command,
  },
} as const satisfies Record<string, Record<string, JSONObject>>;
