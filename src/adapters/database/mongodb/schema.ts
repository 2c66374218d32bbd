import { flag, object, text, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';

const collection: JSONObject = text('MongoDB: the collection.', 200);
const filter: JSONObject = { type: 'object', description: 'MongoDB: which documents. Default for reading: all.' };

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
    skip: whole('MongoDB: documents to leave out first.', 0),
    limit: whole('Rows at most; 0 means all.', 0),
    explain: flag('Answer with the plan instead of running the query.'),
  },
  db_insert: {
    collection,
    document: { description: 'MongoDB: one document. What is no object is stored as { "value": … }.' },
    documents: { description: 'MongoDB: a list of documents, or rows that another step stored.' },
    data: { description: 'Another name for documents.' },
    on_conflict: object(
      'What to do with a document that is there already.',
      {
        columns: {
          type: 'array',
          minItems: 1,
          maxItems: 100,
          items: text('A field.', 512),
          description: 'The fields of a unique index, such as ["_id"].',
        },
        action: { enum: ['update', 'ignore'], description: 'Set the given fields, or leave it as it is.' },
      },
      ['columns', 'action'],
    ),
  },
  db_update: {
    collection,
    filter,
    update: {
      type: 'object',
      description: 'MongoDB: operators such as $set and $inc, or a document to put in place of one.',
    },
    upsert: flag('MongoDB: insert where nothing matches. Default false.'),
    multi: flag('MongoDB: all documents that match (default), or one.'),
    all: flag('true: every row, instead of a condition.'),
    delete: flag('true: delete instead of changing.'),
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
