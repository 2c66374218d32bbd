import type { Document, UpdateFilter } from 'mongodb';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { type Effect, effectField, marking, once, unmarked } from './effect.ts';
import { collectionName, guardQuery } from './guard.ts';
import { document } from './query.ts';
import type { Session } from './session.ts';
import { fromBson } from './values.ts';

interface Change {
  collection: string;
  filter: Document;
  /** Operators, or a document to put in place; undefined to delete. */
  update: Document | undefined;
  replaces: boolean;
  upsert: boolean;
  multi: boolean;
}

/** `db_update`: `filter` with `update`, `upsert`, `multi`; or with `delete: true`. */
export async function update(params: JSONObject, session: Session): Promise<JSONObject> {
  const { call } = session;
  const change = changeOf(params, session);
  const { filter = {}, update: given = null, upsert = false, multi = true, delete: remove = false } = params;
  const identity = { update: change.collection, filter, given, upsert, multi, remove };
  call.reached?.('start');
  const output = await once(session, identity, async (effect) => {
    call.reached?.('key');
    const done = await (change.update === undefined
      ? removeBy(change, session, effect)
      : apply(change, session, effect));
    call.reached?.('before commit');
    return done;
  });
  call.reached?.('after commit');
  return output;
}

function changeOf(params: JSONObject, { codec }: Session): Change {
  const { filter = {}, update: given, upsert = false, multi, delete: remove } = params;
  guardQuery(filter, 'params.filter');
  guardQuery(given, 'params.update');
  if ((given === undefined) !== (remove === true)) throw invalid('params: give either update, or delete: true');
  if (Array.isArray(given))
    throw new StepError(
      'UNSUPPORTED',
      'params.update: pipelines are not available; use operators such as $set and $inc',
    );
  if (isObject(filter) && Object.keys(filter).length === 0 && params.all !== true)
    throw invalid('params.filter is empty; if every document is meant, say so by all: true');
  const change = given === undefined ? undefined : document(codec.toBson(given, 'params.update'), 'params.update');
  const replaces = change !== undefined && replacesAll(change);
  if (replaces && multi === true)
    throw invalid('params.update without operators replaces one document; use $set to change many');
  return {
    collection: collectionName(params.collection),
    filter: document(codec.toBson(filter as JSONValue, 'params.filter'), 'params.filter'),
    update: change,
    replaces,
    upsert: upsert === true,
    multi: multi !== false && !replaces,
  };
}

function replacesAll(change: Document): boolean {
  const names = Object.keys(change);
  const operators = names.filter((name) => name.startsWith('$')).length;
  if (operators === names.length && names.length > 0) return false;
  if (operators > 0 || names.length === 0)
    throw invalid('params.update must have operators alone, such as $set, or none at all');
  return true;
}

async function apply(change: Change, session: Session, effect: Effect | undefined): Promise<JSONObject> {
  const collection = session.db.collection(change.collection);
  const before = effect?.resuming === true ? await marked(collection, session, effect) : undefined;
  // The filter might find another document now: one attempt's choice stands.
  if (before !== undefined && before.count > 0 && !change.multi) return counts(before.count, before.upsertedId);
  const filter = effect === undefined ? change.filter : { ...change.filter, ...unmarked(effect) };
  const options = { upsert: change.upsert && (before?.count ?? 0) === 0, maxTimeMS: session.maxTimeMS() };
  const result = await session.wait(() => send(collection, filter, change, effect, options, session));
  const upsertedId = before?.upsertedId ?? (result.upsertedCount > 0 ? fromBson(result.upsertedId) : undefined);
  return counts((before?.count ?? 0) + result.matchedCount + result.upsertedCount, upsertedId);
}

type Documents = ReturnType<Session['db']['collection']>;

interface Sent {
  matchedCount: number;
  upsertedCount: number;
  upsertedId: unknown;
}

function send(
  collection: Documents,
  filter: Document,
  { update: change = {}, replaces, multi, filter: { _id } }: Change,
  effect: Effect | undefined,
  options: { upsert: boolean; maxTimeMS: number },
  { codec }: Session,
): Promise<Sent> {
  if (replaces) {
    const put = effect === undefined ? change : { ...change, [effectField]: [effect.mark] };
    return collection.replaceOne(filter, put, options) as Promise<Sent>;
  }
  const operators: Document = { ...change };
  if (effect !== undefined) {
    operators.$push = { ...operators.$push, ...marking(effect) };
    if (options.upsert && _id === undefined)
      operators.$setOnInsert = { _id: codec.objectId(effect.idOf(0)), ...operators.$setOnInsert };
  }
  const sent = operators as UpdateFilter<Document>;
  return multi ? collection.updateMany(filter, sent, options) : collection.updateOne(filter, sent, options);
}

/** What an earlier attempt has changed. There is no index on marks, but this is for attempts after a failure alone. */
async function marked(
  collection: Documents,
  { codec, call, wait }: Session,
  effect: Effect,
): Promise<{ count: number; upsertedId: JSONValue | undefined }> {
  const { signal } = call;
  const count = await wait(() => collection.countDocuments({ [effectField]: effect.mark }, { signal }));
  const own = codec.objectId(effect.idOf(0));
  const upserted = await wait(() => collection.findOne({ _id: own }, { projection: { _id: 1 }, signal }));
  return { count, upsertedId: upserted === null ? undefined : fromBson(own) };
}

function counts(affected: number, upsertedId: JSONValue | undefined): JSONObject {
  const matched = affected - (upsertedId === undefined ? 0 : 1);
  return {
    updated: affected,
    affected_rows: affected,
    matched,
    ...(upsertedId !== undefined && { upserted_id: upsertedId }),
  };
}

async function removeBy(
  { collection: name, filter, multi }: Change,
  session: Session,
  effect: Effect | undefined,
): Promise<JSONObject> {
  const collection = session.db.collection(name);
  const options = { maxTimeMS: session.maxTimeMS() };
  if (multi) return removed((await session.wait(() => collection.deleteMany(filter, options))).deletedCount);
  if (effect === undefined)
    return removed((await session.wait(() => collection.deleteOne(filter, options))).deletedCount);
  // Which one it is gets noted first: another attempt must not take a second.
  const noted = effect.noted as { _id: Document['_id'] } | undefined;
  const found =
    noted ??
    (await session.wait(() => collection.findOne(filter, { projection: { _id: 1 }, signal: session.call.signal })));
  if (found === null) return removed(0);
  if (noted === undefined) await effect.note({ _id: found._id });
  session.call.reached?.('batch');
  const { deletedCount } = await session.wait(() => collection.deleteOne({ _id: found._id }, options));
  return removed(noted === undefined ? deletedCount : 1);
}

const removed = (count: number): JSONObject => ({ updated: count, affected_rows: count, deleted: count });

const invalid = (message: string): StepError => new StepError('INVALID_PARAMS', message);
