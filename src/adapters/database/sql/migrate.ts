import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Call } from '../driver.ts';
import { invalidParams, SqlFailure } from '../errors.ts';
import { type FileAccess, type Migration, migrationsOf } from './migrations.ts';
import type { Mode, Session, SqlServer } from './session.ts';
import type { Statement } from './statement.ts';

interface Applied {
  id: string;
  checksum: string;
  finished_at: string | null;
}

/** `db_migrate`: brings the schema to the last migration, or to `to`, one after the other and nobody else meanwhile. */
export async function migrate(
  session: Session,
  params: JSONObject,
  call: Call,
  mode: Mode,
  server: SqlServer,
  access: FileAccess,
): Promise<JSONObject> {
  const all = await migrationsOf(params, access);
  const wanted = upTo(all, params.to);
  const migrator = new Migrator(session, call, mode, server);
  if (onlyLooks(params)) {
    const applied = await migrator.applied();
    if (params.dry_run === true) check(all, applied);
    return outputOf(params, all, wanted, applied, []);
  }
  return migrator.locked(async () => {
    await migrator.createTable();
    const before = await migrator.applied();
    check(all, before);
    const done = new Set(before.map(({ id }) => id));
    const fresh: string[] = [];
    for (const one of wanted) if (!done.has(one.id) && (await migrator.apply(one))) fresh.push(one.id);
    return outputOf(params, all, wanted, await migrator.applied(), fresh);
  });
}

/** Whether it only looks: `status` or `dry_run`. */
export const onlyLooks = ({ status, dry_run }: JSONObject): boolean => status === true || dry_run === true;

/** What a migration that only looks says of a database that is not there yet. */
export async function migrateNothing(params: JSONObject, access: FileAccess): Promise<JSONObject> {
  const all = await migrationsOf(params, access);
  return outputOf(params, all, upTo(all, params.to), [], []);
}

function upTo(all: readonly Migration[], to: unknown): readonly Migration[] {
  if (to === undefined) return all;
  const last = all.findIndex(({ id }) => id === to);
  if (last === -1) throw invalidParams('params.to: there is no such migration');
  return all.slice(0, last + 1);
}

/** What is recorded must be the beginning of what is given. @throws StepError MIGRATION_… */
function check(all: readonly Migration[], applied: readonly Applied[]): void {
  const given = new Map(all.map((one) => [one.id, one]));
  const recorded = new Set(applied.map(({ id }) => id));
  for (const { id, checksum, finished_at } of applied) {
    const name = JSON.stringify(id);
    const one = given.get(id);
    if (finished_at === null)
      throw refused(
        'DIRTY',
        `${name} began and did not end: look at what it did, then delete its row from _jsonflow_migrations, or set its finished_at`,
      );
    if (one === undefined)
      throw refused('MISSING', `${name} was applied, but is not among the migrations that are given`);
    if (one.checksum !== checksum)
      throw refused('CHANGED', `${name} was applied with another text; write a new migration instead`);
  }
  const lastApplied = all.findLastIndex(({ id }) => recorded.has(id));
  const skipped = all.find(({ id }, index) => index < lastApplied && !recorded.has(id));
  if (skipped !== undefined)
    throw refused(
      'OUT_OF_ORDER',
      `${JSON.stringify(skipped.id)} comes before one that was applied already; put it at the end`,
    );
}

const refused = (kind: string, message: string): StepError =>
  new StepError(`MIGRATION_${kind}`, `migration ${message}`);

function outputOf(
  params: JSONObject,
  all: readonly Migration[],
  wanted: readonly Migration[],
  applied: readonly Applied[],
  fresh: string[],
): JSONObject {
  const known = new Map(applied.map((one) => [one.id, one]));
  const given = new Set(all.map(({ id }) => id));
  const migrations = all.map(({ id, checksum }): JSONObject => {
    const one = known.get(id);
    if (one === undefined) return { id, status: 'pending' };
    if (one.finished_at === null) return { id, status: 'dirty' };
    return { id, status: one.checksum === checksum ? 'applied' : 'changed', applied_at: one.finished_at };
  });
  for (const { id, finished_at } of applied)
    if (!given.has(id)) migrations.push({ id, status: 'missing', applied_at: finished_at });
  const pending = wanted.filter(({ id }) => !known.has(id)).map(({ id }) => id);
  const output: JSONObject = { applied: fresh, applied_count: fresh.length, pending, migrations };
  if (params.dry_run === true) return { ...output, dry_run: true, result: pending };
  return params.status === true ? { ...output, result: migrations } : output;
}

/** The table `_jsonflow_migrations`, and what is done under its lock. */
class Migrator {
  readonly #session: Session;
  readonly #call: Call;
  readonly #mode: Mode;
  readonly #server: SqlServer;

  constructor(session: Session, call: Call, mode: Mode, server: SqlServer) {
    this.#session = session;
    this.#call = call;
    this.#mode = mode;
    this.#server = server;
  }

  async locked<R>(body: () => Promise<R>): Promise<R> {
    const { lock } = this.#server.dialect;
    if (lock === undefined) return body();
    const { rows } = await this.#session.run(lock.lock);
    if (rows[0]?.locked === 0 || rows.length === 0)
      throw new SqlFailure('MIGRATION_LOCKED', 'another migration of this database runs', { retryable: true });
    try {
      return await body();
    } finally {
      // Where this fails the connection is lost, and the lock with it.
      await this.#session.run(lock.unlock).catch(() => undefined);
    }
  }

  async createTable(): Promise<void> {
    try {
      await this.#session.script(this.#server.dialect.migrations.create);
    } catch (thrown) {
      if (!(thrown instanceof SqlFailure) || (thrown.kind !== 'unique' && thrown.kind !== 'exists')) throw thrown;
    }
  }

  /** In no order; none where the table is not there. */
  async applied(): Promise<Applied[]> {
    const text = 'SELECT id, checksum, finished_at FROM _jsonflow_migrations ORDER BY started_at, id';
    const rows: Applied[] = [];
    try {
      await this.#session.read(
        { ...this.#mode, readOnly: true },
        { text, values: [], reuse: false },
        1_000,
        async (batch) => {
          for (const { id, checksum, finished_at } of batch)
            rows.push({
              id: String(id),
              checksum: String(checksum),
              finished_at: finished_at === null ? null : String(finished_at),
            });
        },
      );
    } catch (thrown) {
      if (!(thrown instanceof SqlFailure) || thrown.kind !== 'no table') throw thrown;
    }
    return rows;
  }

  /** @returns false where another migrator was quicker */
  async apply(migration: Migration): Promise<boolean> {
    this.#call.signal.throwIfAborted();
    try {
      const inside = this.#server.dialect.transactionalDdl && migration.transaction;
      return await (inside ? this.#inside(migration) : this.#outside(migration));
    } catch (thrown) {
      await this.#session.rollback();
      throw named(thrown, migration);
    }
  }

  async #inside(migration: Migration): Promise<boolean> {
    const { id } = migration;
    await this.#session.begin(this.#mode, []);
    if (await this.#isThere(id)) {
      await this.#session.rollback();
      return false;
    }
    await this.#session.run(this.#record(migration));
    if (!(await this.#session.migrate(migration.sql)))
      throw new StepError(
        'MIGRATION_FAILED',
        'it ended its own transaction; leave out BEGIN, COMMIT and ROLLBACK, or begin with the line "-- jsonflow: no-transaction"',
      );
    await this.#session.commit([this.#finish(id)]);
    return true;
  }

  /** Recorded as begun first, so that one that breaks off is seen. */
  async #outside(migration: Migration): Promise<boolean> {
    const { id } = migration;
    await this.#session.begin(this.#mode, [this.#record(migration)]);
    await this.#session.commit([]);
    try {
      await this.#session.migrate(migration.sql);
    } catch (thrown) {
      if (thrown instanceof SqlFailure && thrown.untouched) await this.#write(this.#forget(id));
      throw thrown;
    }
    await this.#write(this.#finish(id));
    return true;
  }

  async #write(statement: Statement): Promise<void> {
    await this.#session.begin(this.#mode, [statement]);
    await this.#session.commit([]);
  }

  async #isThere(id: string): Promise<boolean> {
    const text = `SELECT id FROM _jsonflow_migrations WHERE id = ${this.#at(1)}`;
    const { rows } = await this.#session.run({ text, values: [id], reuse: false });
    return rows.length > 0;
  }

  #record({ id, checksum }: Migration): Statement {
    const text = `INSERT INTO _jsonflow_migrations (id, checksum) VALUES (${this.#at(1)}, ${this.#at(2)})`;
    return { text, values: [id, checksum], reuse: false };
  }

  #finish(id: string): Statement {
    const text = `UPDATE _jsonflow_migrations SET finished_at = ${this.#server.dialect.migrations.now} WHERE id = ${this.#at(1)}`;
    return { text, values: [id], reuse: true };
  }

  #forget(id: string): Statement {
    return { text: `DELETE FROM _jsonflow_migrations WHERE id = ${this.#at(1)}`, values: [id], reuse: false };
  }

  #at(index: number): string {
    return this.#server.dialect.placeholder(index);
  }
}

function named(thrown: unknown, { id }: Migration): unknown {
  const name = `migration ${JSON.stringify(id)}`;
  if (thrown instanceof SqlFailure && !thrown.retryable)
    return new StepError('MIGRATION_FAILED', `${name}: ${thrown.message}`, { cause: thrown });
  return thrown instanceof StepError && thrown.code === 'MIGRATION_FAILED'
    ? new StepError(thrown.code, `${name}: ${thrown.message}`)
    : thrown;
}
