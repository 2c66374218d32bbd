import type { AnyBulkWriteOperation, Document } from 'mongodb';
import { readRows } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { sendAhead } from '../ahead.ts';
import { type Effect, effectField, marking, once, unmarked } from './effect.ts';
import { isDuplicate } from './errors.ts';
import { collectionName } from './guard.ts';
import type { Session } from './session.ts';
import { fromBson } from './values.ts';

/** Ids that an output lists. */
const idsMax = 1_000;

interface Conflict {
  fields: string[];
  action: 'update' | 'ignore';
}

interface Batch {
  documents: Document[];
  /** Index of the first document among all. */
  from: number;
}

/** `db_insert`: `document`, `documents` or `data`; with `on_conflict` as upserts. */
export async function insert(params: JSONObject, session: Session): Promise<JSONObject> {
  const { call } = session;
  const collection = collectionName(params.collection);
  const conflict = conflictOf(params.on_conflict);
  const source = sourceOf(params);
  call.reached?.('start');
  const identity = { insert: collection, source: source.value, on_conflict: params.on_conflict ?? null };
  const output = await once(session, identity, async (effect) => {
    call.reached?.('key');
    const ids: JSONValue[] = [];
    const inserted = await sendAhead(batches(source, session, effect), async (batch) => {
      call.signal.throwIfAborted();
      const send = conflict === undefined ? insertBatch : upsertBatch;
      const count = await send(batch, collection, session, effect, conflict);
      for (const { _id } of batch.documents) if (ids.length < idsMax && _id !== undefined) ids.push(fromBson(_id));
      call.reached?.('batch');
      return count;
    });
    call.reached?.('before commit');
    const single = ids.length === 1 && params.data === undefined && params.documents === undefined;
    return {
      inserted,
      affected_rows: inserted,
      ...(single
        ? { inserted_id: ids[0] ?? null }
        : conflict === undefined && inserted <= idsMax
          ? { inserted_ids: ids }
          : {}),
    };
  });
  call.reached?.('after commit');
  return output;
}

/** Exactly one of the three params. */
function sourceOf(params: JSONObject): { name: string; value: JSONValue } {
  const given = ['document', 'documents', 'data'].filter((name) => params[name] !== undefined);
  const [name] = given;
  if (name === undefined || given.length > 1) throw invalid('params: give one of document, documents and data');
  const value = params[name] as JSONValue;
  // A step's result may be anything; documents are objects.
  if (name === 'document' && !isObject(value)) return { name, value: { value } };
  return { name, value };
}

async function* batches(
  source: { name: string; value: JSONValue },
  { call, codec }: Session,
  effect: Effect | undefined,
): AsyncGenerator<Batch> {
  const { batch_size } = call.options;
  let index = 0;
  let documents: Document[] = [];
  for await (const rows of readRows(source.value, `params.${source.name}`, call.context)) {
    for (const row of rows) {
      const where = `params.${source.name}${Array.isArray(source.value) ? `[${index}]` : ''}`;
      documents.push(prepared(codec.toBson(row, where), where, index, codec, effect));
      index += 1;
      if (documents.length < batch_size) continue;
      yield { documents, from: index - documents.length };
      documents = [];
    }
  }
  if (documents.length > 0) yield { documents, from: index - documents.length };
}

/** With an id that every attempt gives again; or, where it has one of its own, with the mark that tells whose it is. */
function prepared(
  made: unknown,
  where: string,
  index: number,
  codec: Session['codec'],
  effect: Effect | undefined,
): Document {
  if (!isObject(made) || (made as { _bsontype?: unknown })._bsontype !== undefined)
    throw invalid(`${where} must be a document`);
  if (Object.hasOwn(made, effectField)) throw invalid(`${where}: the field ${effectField} is kept by JSONFlow`);
  if (effect === undefined) return { ...made };
  if (made._id !== undefined && made._id !== null) return { ...made, [effectField]: [effect.mark] };
  return { ...made, _id: codec.objectId(effect.idOf(index)) };
}

/** Documents that are there already count if they are this effect's own. */
async function insertBatch(
  { documents, from }: Batch,
  name: string,
  session: Session,
  effect: Effect | undefined,
): Promise<number> {
  const collection = session.db.collection(name);
  let left = documents;
  while (left.length > 0) {
    try {
      await session.wait(() => collection.insertMany(left, { ordered: true, maxTimeMS: session.maxTimeMS() }));
      break;
    } catch (thrown) {
      if (!isDuplicate(thrown)) throw thrown;
      const failed = left[failedIndex(thrown)];
      const mine = effect === undefined ? new Set<string>() : await ownIds(left, name, session, effect);
      if (failed === undefined || !mine.has(idText(failed._id)))
        throw new StepError(
          'CONSTRAINT_VIOLATED',
          `document ${from + (failed === undefined ? 0 : documents.indexOf(failed))}: a unique index has its _id or another value already; the documents before it are stored. Use on_conflict to update or skip`,
        );
      left = left.filter(({ _id }) => !mine.has(idText(_id)));
    }
  }
  return documents.length;
}

function failedIndex(thrown: unknown): number {
  const errors = (thrown as { writeErrors?: unknown }).writeErrors;
  const first = Array.isArray(errors) ? errors[0] : errors;
  const index = (first as { index?: unknown } | undefined)?.index;
  return typeof index === 'number' ? index : 0;
}

/** Which of the documents an attempt at this effect has stored. */
async function ownIds(
  documents: readonly Document[],
  name: string,
  { db, call: { signal }, wait }: Session,
  { mark }: Effect,
): Promise<Set<string>> {
  const ids = documents.map(({ _id }) => _id);
  const cursor = db.collection(name).find({ _id: { $in: ids } }, { projection: { [effectField]: 1 }, signal });
  const found = await wait(() => cursor.toArray());
  const marked = new Set(documents.filter((one) => one[effectField] !== undefined).map(({ _id }) => idText(_id)));
  const isOwn = (one: Document): boolean =>
    !marked.has(idText(one._id)) || (Array.isArray(one[effectField]) && one[effectField].includes(mark));
  return new Set(found.filter(isOwn).map(({ _id }) => idText(_id)));
}

// An id that is an object would be changed by fromBson: it gets a copy.
const idText = (id: unknown): string => JSON.stringify(fromBson(isPlain(id) ? structuredClone(id) : id));
const isPlain = (id: unknown): boolean => isObject(id) && (id as { _bsontype?: unknown })._bsontype === undefined;

async function upsertBatch(
  { documents, from }: Batch,
  name: string,
  session: Session,
  effect: Effect | undefined,
  conflict: Conflict | undefined,
): Promise<number> {
  if (conflict === undefined) return 0;
  const collection = session.db.collection(name);
  const operations = documents.flatMap((one, index) => upsertOf(one, from + index, conflict, effect));
  const result = await session.wait(() =>
    collection.bulkWrite(operations, { ordered: true, maxTimeMS: session.maxTimeMS() }),
  );
  if (conflict.action === 'update') return documents.length;
  if (effect?.resuming !== true) return result.upsertedCount;
  // Some of those that were there may be from an earlier attempt.
  const keys = documents.map((one) => keyOf(one, conflict.fields));
  return session.wait(() => collection.countDocuments({ $or: keys, [effectField]: effect.mark }));
}

/** Inserts the document if it is not there; then, for `update`, changes it if this effect has not touched it. */
function upsertOf(
  one: Document,
  index: number,
  { fields, action }: Conflict,
  effect: Effect | undefined,
): AnyBulkWriteOperation[] {
  const where = `document ${index}`;
  for (const name of Object.keys(one))
    if (name.startsWith('$') || name.includes('.'))
      throw invalid(`${where}: with on_conflict, names hold no dot and no leading dollar sign`);
  const filter = keyOf(one, fields, where);
  const rest = Object.fromEntries(
    Object.entries(one).filter(([name]) => !fields.includes(name) && name !== '_id' && name !== effectField),
  );
  const mark = effect === undefined ? {} : { [effectField]: [effect.mark] };
  const id = one._id === undefined || fields.includes('_id') ? {} : { _id: one._id };
  const absent = { updateOne: { filter, update: { $setOnInsert: { ...rest, ...id, ...mark } }, upsert: true } };
  if (Object.keys({ ...rest, ...id, ...mark }).length === 0)
    absent.updateOne.update = { $setOnInsert: filter } as never;
  if (action === 'ignore' || Object.keys(rest).length === 0) return [absent];
  const change = effect === undefined ? { $set: rest } : { $set: rest, $push: marking(effect) };
  const present = {
    updateOne: { filter: effect === undefined ? filter : { ...filter, ...unmarked(effect) }, update: change },
  };
  return [absent, present as AnyBulkWriteOperation];
}

function keyOf(one: Document, fields: readonly string[], where = 'document'): Document {
  return Object.fromEntries(
    fields.map((name) => {
      if (one[name] === undefined) throw invalid(`${where} has no ${name}, which on_conflict names`);
      return [name, { $eq: one[name] }];
    }),
  );
}

function conflictOf(value: JSONValue | undefined): Conflict | undefined {
  if (value === undefined) return undefined;
  const { columns, action } = isObject(value) ? value : {};
  const sound =
    Array.isArray(columns) &&
    columns.length > 0 &&
    columns.every((one) => typeof one === 'string' && /^[^$.\0][^.\0]*$/.test(one));
  if (!sound || (action !== 'update' && action !== 'ignore'))
    throw invalid(
      'params.on_conflict must be { "columns": [fields of a unique index], "action": "update" or "ignore" }',
    );
  return { fields: columns as string[], action };
}

const invalid = (message: string): StepError => new StepError('INVALID_PARAMS', message);
