import type { AbstractCursor, Document } from 'mongodb';
import { RowSink } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { effectField } from './effect.ts';
import { collectionName, guardQuery } from './guard.ts';
import type { Session } from './session.ts';
import { fromBson } from './values.ts';

const fieldsMax = 1_000;

/** `db_query`: `filter` with `projection`, `sort`, `skip` and `limit`; or `pipeline`; with `explain` the plan instead. */
export async function query(params: JSONObject, session: Session): Promise<JSONObject> {
  const { call, maxTimeMS } = session;
  const cursor = cursorOf(params, session, maxTimeMS());
  try {
    if (params.explain === true) {
      const plan = await session.wait(() => (cursor as unknown as Explainable).explain('queryPlanner'));
      const rows = [fromBson(plan) as JSONObject];
      return { rows, row_count: 1, fields: Object.keys(rows[0] ?? {}), plan: rows[0] ?? null };
    }
    const sink = new RowSink(call.context, call.options.max_rows);
    const fields = new Set<string>();
    while (await cursor.hasNext()) await sink.add(rowsOf(cursor.readBufferedDocuments(), session, fields));
    return { ...(await sink.end()), fields: [...fields] } as unknown as JSONObject;
  } finally {
    // Tells the server, too, where rows are left.
    await cursor.close().catch(() => undefined);
  }
}

interface Explainable {
  explain(verbosity: string): Promise<Document>;
}

function rowsOf(documents: Document[], { codec }: Session, fields: Set<string>): JSONObject[] {
  for (const document of documents) {
    delete document[effectField];
    codec.toRow(document);
    for (const name of Object.keys(document)) if (fields.size < fieldsMax) fields.add(name);
  }
  return documents as JSONObject[];
}

function cursorOf(params: JSONObject, { db, codec, call }: Session, maxTimeMS: number): AbstractCursor<Document> {
  const collection = db.collection(collectionName(params.collection));
  const { pipeline, filter = {}, projection, sort, skip, limit } = params;
  const common = { signal: call.signal, maxTimeMS, batchSize: call.options.batch_size };
  for (const name of ['filter', 'pipeline', 'projection', 'sort']) guardQuery(params[name], `params.${name}`);
  if (pipeline !== undefined) {
    if (['filter', 'projection', 'sort', 'skip', 'limit'].some((name) => params[name] !== undefined))
      throw new StepError(
        'INVALID_PARAMS',
        'params: with pipeline, filter, projection, sort, skip and limit are stages of it',
      );
    if (!Array.isArray(pipeline) || !pipeline.every(isObject))
      throw new StepError('INVALID_PARAMS', 'params.pipeline must be a list of stages');
    const stages = codec.toBson(pipeline, 'params.pipeline') as Document[];
    return collection.aggregate(stages.map(stageOf), common);
  }
  return collection.find(document(codec.toBson(filter, 'params.filter'), 'params.filter'), {
    ...common,
    ...(projection !== undefined && {
      projection: document(codec.toBson(projection, 'params.projection'), 'params.projection'),
    }),
    ...(sort !== undefined && { sort: sortOf(sort) }),
    ...(typeof skip === 'number' && { skip }),
    ...(typeof limit === 'number' && limit > 0 && { limit }),
  });
}

/** The value as a document. @param where it stands, for the message @throws StepError INVALID_PARAMS where it is none */
export function document(value: unknown, where: string): Document {
  if (isObject(value) && (value as { _bsontype?: unknown })._bsontype === undefined) return value;
  throw new StepError('INVALID_PARAMS', `${where} must be an object`);
}

/** A `$sort` by several fields can be written as a list of pairs: names in JSON have no order. */
const stageOf = (stage: Document): Document =>
  Array.isArray(stage.$sort) ? { ...stage, $sort: new Map(sortOf(stage.$sort)) } : stage;

/** `{ a: 1, b: -1 }`, or `[["a", 1], ["b", -1]]` where the order matters. */
function sortOf(sort: JSONValue): [string, 1 | -1][] {
  const pairs = Array.isArray(sort) ? sort : isObject(sort) ? Object.entries(sort) : [];
  return pairs.map((pair) => {
    const [name, direction] = Array.isArray(pair) ? pair : [];
    if (typeof name !== 'string' || (direction !== 1 && direction !== -1))
      throw new StepError('INVALID_PARAMS', 'params.sort must give 1 or -1 for each field');
    return [name, direction];
  });
}
