import { randomUUID } from 'node:crypto';
import type { Collection, Db, Document } from 'mongodb';
import { canonicalize } from '../../../lib/canonical.ts';
import { StepError } from '../../../lib/errors.ts';
import { sha256 } from '../../../lib/hash.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { isDuplicate } from './errors.ts';
import { collectionName, guardQuery } from './guard.ts';
import { document } from './query.ts';
import type { Session } from './session.ts';

const migrationsCollection = '_jsonflow_migrations';
const lockId = '#lock';
/** A migrator that has not shown up for so long is taken for dead. Ms. */
const lockMs = 60_000;
const lockRetryMs = 200;

/** What a migration may consist of: each can be repeated without harm, or says that it was done. */
const allowed = new Set(['create', 'createIndexes', 'dropIndexes', 'drop', 'collMod', 'insert', 'update', 'delete']);
/** "It exists", "there is none": what a command says whose work an interrupted migrator has done. */
const doneBefore: Readonly<Record<string, ReadonlySet<number>>> = {
  create: new Set([48]),
  drop: new Set([26]),
  dropIndexes: new Set([26, 27]),
};

interface Migration {
  id: string;
  checksum: string;
  commands: Document[];
}

interface Applied {
  _id: string;
  checksum?: string;
  position?: number;
  /** Commands that are done. */
  done?: number;
  state?: 'begun' | 'done';
  applied_at?: Date;
  owner?: string;
  until?: Date;
}

/** `db_migrate`: applies what is not applied yet, in order, one migrator at a time. */
export async function migrate(params: JSONObject, session: Session): Promise<JSONObject> {
  const migrations = parse(params.migrations, session);
  const wanted = upTo(migrations, params.to);
  const table: Collection<Applied> = session.db.collection(migrationsCollection);
  if (params.status === true || params.dry_run === true) {
    const { pending, known } = await compare(table, migrations, wanted, session);
    return { applied: [], pending: pending.map(({ id }) => id), already_applied: known };
  }
  const owner = await lock(table, session);
  try {
    const { pending, known } = await compare(table, migrations, wanted, session);
    for (const migration of pending) await apply(migration, migrations.indexOf(migration), table, owner, session);
    return { applied: pending.map(({ id }) => id), pending: [], already_applied: known };
  } finally {
    await table.deleteOne({ _id: lockId, owner }).catch(() => undefined);
  }
}

function parse(value: JSONValue | undefined, { codec }: Session): Migration[] {
  if (!Array.isArray(value))
    throw invalid('params.migrations must be a list of { "id", "commands": [{ "createIndexes": … }] }');
  const ids = new Set<string>();
  return value.map((one, index) => {
    const where = `params.migrations[${index}]`;
    const { id, commands } = isObject(one) ? one : {};
    if (typeof id !== 'string' || id === '' || id.startsWith('#') || ids.has(id))
      throw invalid(`${where}.id must be a text of its own, which does not begin with #`);
    ids.add(id);
    if (!Array.isArray(commands) || commands.length === 0)
      throw invalid(`${where}.commands must be a list of commands`);
    const made = commands.map((command, at) => commandOf(command as JSONValue, `${where}.commands[${at}]`, codec));
    return { id, commands: made, checksum: sha256(canonicalize(commands)) };
  });
}

function commandOf(command: JSONValue, where: string, codec: Session['codec']): Document {
  guardQuery(command, where);
  const made = document(codec.toBson(command, where), where);
  // Canonical JSON sorts names, and the first one is what a server takes for the command's.
  const names = Object.keys(made).filter((key) => allowed.has(key));
  const [name] = names;
  if (name === undefined || names.length !== 1)
    throw new StepError('UNSUPPORTED', `${where} must be one of ${[...allowed].join(', ')}`);
  const { [name]: target, ...rest } = made;
  if (Array.isArray(rest.indexes))
    rest.indexes = rest.indexes.map((index: unknown) =>
      isObject(index) && Array.isArray(index.key) ? { ...index, key: ordered(index.key, where) } : index,
    );
  return { [name]: collectionName(target as JSONValue), ...rest };
}

/** `[["a", 1], ["b", -1]]`: where the order of an index's fields matters, since that of names in JSON doesn't. */
function ordered(pairs: unknown[], where: string): Document {
  const sound = pairs.every((pair) => Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string');
  if (!sound) throw invalid(`${where}: the key of an index is { "field": 1 } or [["field", 1], …]`);
  return Object.fromEntries(pairs as [string, unknown][]);
}

function upTo(migrations: Migration[], to: JSONValue | undefined): Migration[] {
  if (to === undefined) return migrations;
  const last = migrations.findIndex(({ id }) => id === to);
  if (last === -1) throw invalid('params.to names no migration of the list');
  return migrations.slice(0, last + 1);
}

async function compare(
  table: Collection<Applied>,
  migrations: Migration[],
  wanted: Migration[],
  { wait }: Session,
): Promise<{ pending: Migration[]; known: string[] }> {
  const records = await wait(() =>
    table
      .find({ _id: { $ne: lockId } })
      .sort({ position: 1 })
      .toArray(),
  );
  for (const [index, { _id, checksum }] of records.entries()) {
    const given = migrations[index];
    if (given?.id !== _id)
      throw new StepError(
        'MIGRATION_MISSING',
        `the database has the migration "${_id}" at position ${index}, and the list has ${given === undefined ? 'none' : `"${given.id}"`} there: applied migrations must stay, in their order`,
      );
    if (given.checksum !== checksum)
      throw new StepError(
        'MIGRATION_CHANGED',
        `the migration "${_id}" was changed after it had been applied; write a new one instead`,
      );
  }
  const done = new Set(records.filter(({ state }) => state === 'done').map(({ _id }) => _id));
  return { pending: wanted.filter(({ id }) => !done.has(id)), known: [...done] };
}

async function apply(
  migration: Migration,
  position: number,
  table: Collection<Applied>,
  owner: string,
  session: Session,
): Promise<void> {
  const { id, checksum, commands } = migration;
  const { db, wait, call, maxTimeMS } = session;
  const record = await wait(() =>
    table.findOneAndUpdate(
      { _id: id },
      { $setOnInsert: { checksum, position, done: 0, state: 'begun' } },
      { upsert: true, returnDocument: 'after' },
    ),
  );
  for (let index = record?.done ?? 0; index < commands.length; index += 1) {
    call.signal.throwIfAborted();
    await renew(table, owner, session);
    await wait(() => run(db, commands[index] ?? {}, maxTimeMS(), `the migration "${id}", command ${index}`));
    await wait(() => table.updateOne({ _id: id }, { $set: { done: index + 1 } }));
    call.reached?.('batch');
  }
  await wait(() => table.updateOne({ _id: id }, { $set: { state: 'done', applied_at: new Date() } }));
}

async function run(db: Db, command: Document, maxTimeMS: number, where: string): Promise<void> {
  try {
    const reply = await db.command({ ...command, maxTimeMS });
    const [error] = Array.isArray(reply.writeErrors) ? reply.writeErrors : [];
    if (error !== undefined)
      throw new StepError('QUERY_FAILED', `${where}: MongoDB error ${Number((error as { code?: unknown }).code)}`);
  } catch (thrown) {
    const code = (thrown as { code?: unknown }).code;
    const name = Object.keys(command)[0] ?? '';
    if (typeof code === 'number' && doneBefore[name]?.has(code)) return;
    throw thrown;
  }
}

async function lock(table: Collection<Applied>, session: Session): Promise<string> {
  const owner = randomUUID();
  for (;;) {
    session.call.signal.throwIfAborted();
    const until = new Date(Date.now() + lockMs);
    try {
      await session.wait(() => table.insertOne({ _id: lockId, owner, until }));
      return owner;
    } catch (thrown) {
      if (!isDuplicate(thrown)) throw thrown;
    }
    const taken = await session.wait(() =>
      table.updateOne({ _id: lockId, until: { $lt: new Date() } }, { $set: { owner, until } }),
    );
    if (taken.matchedCount === 1) return owner;
    await session.wait(() => new Promise((resolve) => setTimeout(resolve, lockRetryMs)));
  }
}

async function renew(table: Collection<Applied>, owner: string, { wait }: Session): Promise<void> {
  const { matchedCount } = await wait(() =>
    table.updateOne({ _id: lockId, owner }, { $set: { until: new Date(Date.now() + lockMs) } }),
  );
  if (matchedCount === 0)
    throw new StepError('MIGRATION_LOCKED', 'another migrator has taken over', { retryable: true });
}

const invalid = (message: string): StepError => new StepError('INVALID_PARAMS', message);
