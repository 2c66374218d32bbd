import { fields, flag, object, text, whole } from '../../kit/schema.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';
import { mongoParams } from './mongodb/schema.ts';
import { redisParams } from './redis/schema.ts';

const connection: JSONObject = text(
  'Where the database is: postgres://, mysql://, mariadb://, sqlite:, mongodb:// or redis://, usually by a vault:// pointer.',
  4096,
);
const options: JSONObject = object('How the operation runs; all have defaults.', {
  timeout: whole(
    'Ms for the whole operation, its retries included; the server stops at it. Default 30,000.',
    1,
    86_400_000,
  ),
  pool_size: whole('Connections at once. Default 10.', 1, 1_000),
  acquire_timeout: whole('Ms to wait for a free connection. Default 10,000.', 1, 3_600_000),
  retry_attempts: whole('Tries after the first, of failures that may pass. Default 3.', 0, 100),
  isolation: {
    enum: ['read uncommitted', 'read committed', 'repeatable read', 'serializable'],
    description: "The transaction's isolation level. Default: the server's.",
  },
  read_only: flag('Refuse to write. db_query never writes.'),
  max_rows: whole('Rows that the output holds itself; more go to the blob store. Default 10,000.', 0, 1_000_000),
  batch_size: whole('Rows of one statement, or of one fetch of a cursor. Default 1,000.', 1, 100_000),
});
const idempotency: JSONObject = {
  enum: ['on', 'off'],
  description:
    'on (the default): the step has its effect once, however often it is tried. off: each attempt has it again.',
};
const name = (description: string): JSONObject => text(description, 512);
const table = name('The table, as table or schema.table.');
const query: JSONObject = text('One SQL statement, with placeholders for its values.', 1_048_576);
const values: JSONObject = {
  type: ['array', 'object'],
  description:
    'The values of the placeholders: $1, $2 (PostgreSQL) or ? (MySQL, SQLite); an object for names (SQLite).',
};
const where: JSONObject = {
  type: 'object',
  description: 'Conditions by column: a value, null, a list, or operators; and, or, not.',
};
const names = (description: string): JSONObject => ({
  description,
  anyOf: [
    { const: '*' },
    { type: 'boolean' },
    { type: 'array', minItems: 1, maxItems: 1_000, items: name('A column.') },
  ],
});
const returning = names('Columns of the written rows to answer with: a list, or "*".');
const rows: JSONObject = {
  description: 'One object, a list of objects, or rows that another step stored: column names with values.',
};
const onConflict: JSONObject = object(
  'What to do with a row that is there already.',
  {
    columns: { type: 'array', minItems: 1, items: name('A column.'), description: 'The columns of the unique key.' },
    action: { enum: ['update', 'ignore'], description: 'Update the row, or leave it as it is.' },
    update: {
      type: 'array',
      minItems: 1,
      items: name('A column.'),
      description: 'Columns to update. Default: all that are given, without the key.',
    },
  },
  ['columns', 'action'],
);

const querySql: JSONObject = {
  query,
  params: values,
  table,
  columns: names('Columns to read. Default: all.'),
  where,
  order_by: {
    type: ['array', 'string', 'object'],
    description: 'Columns to sort by: names, or { column, direction: "asc" | "desc" }.',
  },
  limit: whole('Rows at most.', 0),
  offset: whole('Rows to skip.', 0),
  explain: flag('Answer with the plan instead of running the query.'),
};
const insertSql: JSONObject = { table, data: rows, on_conflict: onConflict, returning };
const updateSql: JSONObject = {
  table,
  set: { type: 'object', description: 'New values by column.' },
  data: { type: 'object', description: 'Another name for set.' },
  where,
  all: flag('true: every row, instead of where.'),
  delete: flag('true: delete the rows instead of changing them.'),
  returning,
  query,
  params: values,
};

const schemaOf = (properties: Readonly<Record<string, JSONObject>>): JSONObject =>
  fields({ connection, ...properties, options }, ['connection']);

/** The step types with their params: shown in validation errors, and the reference for docs/adapters/database.md. */
export const stepTypes: StepTypeManifest[] = [
  {
    type: 'db_query',
    description: 'Reads from a database.',
    params_schema: schemaOf({ ...mongoParams.db_query, ...redisParams.db_query, ...querySql }),
  },
  {
    type: 'db_insert',
    description: 'Inserts one row or many, once.',
    params_schema: schemaOf({ ...mongoParams.db_insert, ...redisParams.db_insert, ...insertSql, idempotency }),
  },
  {
    type: 'db_update',
    description: 'Changes or deletes rows, or runs a statement that writes, once.',
    params_schema: schemaOf({ ...mongoParams.db_update, ...redisParams.db_update, ...updateSql, idempotency }),
  },
  {
    type: 'db_transaction',
    description: 'Runs several operations, all or none, once.',
    params_schema: schemaOf({
      operations: {
        type: 'array',
        minItems: 1,
        maxItems: 1_000,
        items: { type: 'object' },
        description:
          'The operations in their order: { id?, type: "query" | "insert" | "update", … } with the params of its step type.',
      },
      commands: redisParams.db_transaction.commands,
      idempotency,
    }),
  },
  {
    type: 'db_migrate',
    description: "Brings a database's schema up to date.",
    params_schema: schemaOf({
      migrations: {
        type: 'array',
        maxItems: 10_000,
        description: 'The migrations in their order.',
        items: {
          type: 'object',
          properties: {
            id: name('Its name; the order is that of the list.'),
            sql: { type: 'string', minLength: 1, description: 'Statements.' },
            ...mongoParams.migration,
            transaction: flag('false: outside of a transaction, for statements that can only run so. Default true.'),
          },
          required: ['id'],
          additionalProperties: true,
        },
      },
      directory: name('A folder of this node with .sql files, in the order of their names, instead of migrations.'),
      to: name('The last migration to apply. Default: all.'),
      dry_run: flag('Check, and say what would be applied.'),
      status: flag('Say what is applied and what is not; change nothing.'),
    }),
  },
];
