import type { JSONObject } from '../../../lib/json.ts';

const collection: JSONObject = {
  type: 'string',
  minLength: 1,
  maxLength: 200,
  description: 'MongoDB: the collection.',
};
const filter: JSONObject = { type: 'object', description: 'MongoDB: which documents. Default for reading: all.' };
const text = (description: string): JSONObject => ({ type: 'string', minLength: 1, maxLength: 512, description });

/** Params of steps whose connection is a MongoDB, by step type, beside those that all databases share. */
export const mongoParams = {
  db_query: {
    collection,
    filter,
    pipeline: {
      type: 'array',
      maxItems: 1_000,
      items: { type: 'object' },
      description: 'MongoDB: stages of an aggregation that only reads, instead of filter.',
    },
    projection: { type: 'object', description: 'MongoDB: fields to read. Default: all.' },
    sort: {
      type: ['object', 'array'],
      description: 'MongoDB: { "field": 1 or -1 }, or [["field", 1], …] where the order of several fields matters.',
    },
    skip: { type: 'integer', minimum: 0, description: 'MongoDB: documents to leave out first.' },
    limit: { type: 'integer', minimum: 0, description: 'Rows at most; 0 means all.' },
    explain: { type: 'boolean', description: 'Answer with the plan instead of running the query.' },
  },
  db_insert: {
    collection,
    document: { description: 'MongoDB: one document. What is no object is stored as { "value": … }.' },
    documents: { description: 'MongoDB: a list of documents, or rows that another step stored.' },
    data: { description: 'Another name for documents.' },
    on_conflict: {
      type: 'object',
      description: 'What to do with a document that is there already.',
      properties: {
        columns: {
          type: 'array',
          minItems: 1,
          maxItems: 100,
          items: text('A field.'),
          description: 'The fields of a unique index, such as ["_id"].',
        },
        action: { enum: ['update', 'ignore'], description: 'Set the given fields, or leave it as it is.' },
      },
      required: ['columns', 'action'],
      additionalProperties: false,
    },
  },
  db_update: {
    collection,
    filter,
    update: {
      type: 'object',
      description: 'MongoDB: operators such as $set and $inc, or a document to put in place of one.',
    },
    upsert: { type: 'boolean', description: 'MongoDB: insert where nothing matches. Default false.' },
    multi: { type: 'boolean', description: 'MongoDB: all documents that match (default), or one.' },
    all: { type: 'boolean', description: 'true: every row, instead of a condition.' },
    delete: { type: 'boolean', description: 'true: delete instead of changing.' },
  },
  db_transaction: {},
  /** Of an element of `migrations`, instead of `sql`. */
  migration: {
    commands: {
      type: 'array',
      minItems: 1,
      maxItems: 1_000,
      items: { type: 'object' },
      description:
        'MongoDB: database commands: create, createIndexes, dropIndexes, drop, collMod, insert, update, delete.',
    },
  },
} as const satisfies Record<string, Record<string, JSONObject>>;
