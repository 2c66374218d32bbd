import type { ConnectionOptions } from 'node:tls';
import type { Client, Submittable } from 'pg';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Endpoint } from '../endpoint.ts';
import { wrongCount } from '../errors.ts';
import type { Field } from '../sql/session.ts';
import type { Statement } from '../sql/statement.ts';
import { cancelRequest } from './cancel.ts';
import { placeholders } from './dialect.ts';
import { Exchange, type ExchangeHandlers, type Prepared, type Run, type Wire } from './exchange.ts';
import { pgFailure } from './failure.ts';
import { PreparedStatements, unprepared } from './prepared.ts';
import { type Reading, readRows } from './read.ts';
import { rowMaker } from './rows.ts';
import { encode, needsType, type TypeCatalogue } from './types.ts';

interface RunResult {
  rows: JSONObject[];
  /** Such as `INSERT 0 3`. */
  tag: string;
}

/** What pg keeps to itself, and this needs. */
interface Inner {
  connection: Wire;
  processID: number;
  secretKey: number;
  _txStatus: 'I' | 'T' | 'E' | null;
}

export interface ConnectionParts {
  client: Client;
  types: TypeCatalogue;
  endpoint: Endpoint;
  path: string | undefined;
  tls: ConnectionOptions | undefined;
  /** What brings the session back to where it began. */
  cleaning: string;
}

/** One connection: prepares statements once, and sends several at a time. All methods reject with SqlFailure. */
export class PgConnection {
  readonly #parts: ConnectionParts;
  readonly #inner: Inner;
  readonly #statements = new PreparedStatements();
  /** What the session's limits were set to last. */
  limitSeconds = 0;
  /** Whether the author's SQL may have changed the session. */
  touched = false;
  #broken = false;
  #running = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#inner = parts.client as unknown as Inner;
    parts.client.on('error', () => {
      this.#broken = true;
    });
    parts.client.on('end', () => {
      this.#broken = true;
    });
  }

  /** False once it is lost, or left in a transaction or a statement. */
  get usable(): boolean {
    return !this.#broken && this.#running === 0 && this.#inner._txStatus === 'I';
  }

  /** Whether the session is within a transaction that has not failed. */
  get inTransaction(): boolean {
    return this.#inner._txStatus === 'T';
  }

  destroy(): void {
    this.#broken = true;
    this.#inner.connection.stream.destroy();
  }

  async end(): Promise<void> {
    this.#broken = true;
    await this.#parts.client.end().catch(() => undefined);
  }

  async tidy(): Promise<void> {
    if (!this.touched || !this.usable) return;
    try {
      await this.script(this.#parts.cleaning);
      this.touched = false;
      this.limitSeconds = 0;
    } catch {
      this.destroy();
    }
  }

  /** Several statements in one text, without values. */
  async script(text: string): Promise<void> {
    await this.#guarded(() => this.#parts.client.query(text));
  }

  /** The statements as the server knows them, prepared where they are not yet, all in one exchange. */
  async prepare(statements: readonly Pick<Statement, 'text' | 'reuse'>[]): Promise<Prepared[]> {
    const found = statements.map(({ text }) => this.#statements.get(text));
    const missing = statements.flatMap((statement, index) =>
      found[index] === undefined ? [{ statement, index }] : [],
    );
    if (missing.length > 0) {
      const made = missing.map(({ statement: { text, reuse } }) => unprepared(text, reuse));
      await this.#describe(made);
      for (const [at, { index }] of missing.entries()) {
        const one = made[at];
        if (one === undefined) continue;
        found[index] = one;
        this.#statements.add(one);
      }
      await this.#learn(made);
      for (const one of made) one.row = rowMaker(one.fields, this.#parts.types);
    }
    return found.flatMap((one) => one ?? []);
  }

  fieldsOf({ fields }: Prepared): Field[] {
    return fields.map(({ name, dataTypeID }) => ({ name, type: this.#parts.types.get(dataTypeID).name }));
  }

  /** The values as the server takes them. @throws StepError INVALID_PARAMS where they are not as many as it wants */
  async bind(prepared: Prepared, values: readonly JSONValue[]): Promise<(string | Buffer | null)[]> {
    const { types } = this.#parts;
    if (values.length !== prepared.parameters.length)
      throw wrongCount(prepared.parameters.length, values.length, placeholders);
    if (!values.some(needsType)) return values.map((value) => encode(value, undefined));
    await this.#learnTypes(types.unknown(prepared.parameters));
    return values.map((value, index) => encode(value, types.get(prepared.parameters[index] ?? 0)));
  }

  /** Runs statements one after the other, sent together; the first that fails ends them. */
  async run(runs: readonly Run[]): Promise<RunResult[]> {
    const results: RunResult[] = [];
    let rows: JSONObject[] = [];
    await this.#exchange(
      (wire, sync) => {
        for (const { prepared, values } of runs) {
          wire.bind({ statement: prepared.name, values });
          wire.execute({});
        }
        sync();
      },
      {
        row: (cells) => {
          const run = runs[results.length];
          if (run !== undefined) rows.push(run.prepared.row(cells));
        },
        complete: (tag) => {
          results.push({ rows, tag });
          rows = [];
        },
      },
    );
    return results;
  }

  /** Reads rows in batches: the server makes the next ones only when `take` has taken the last ones. */
  async read(reading: Reading, take: (rows: JSONObject[]) => Promise<void>): Promise<void> {
    await readRows((send, on) => this.#exchange(send, on), reading, take);
  }

  /** Tells the server, on another connection, to stop what runs on this one. Does not reject. */
  async cancel(): Promise<void> {
    await cancelRequest(this.#inner, this.#parts);
  }

  async #describe(made: Prepared[]): Promise<void> {
    const closing = this.#statements.takeForgotten();
    let position = -1;
    const onParameters = ({ dataTypeIDs }: { dataTypeIDs: number[] }): void => {
      position += 1;
      const one = made[position];
      if (one !== undefined) one.parameters = dataTypeIDs;
    };
    const { connection } = this.#inner;
    connection.on('parameterDescription', onParameters);
    try {
      await this.#exchange(
        (wire, sync) => {
          for (const name of closing) wire.close({ type: 'S', name });
          for (const { name, text } of made) {
            wire.parse({ name, text });
            wire.describe({ type: 'S', name });
          }
          sync();
        },
        {
          fields: (fields) => {
            const one = made[position];
            if (one !== undefined) one.fields = fields.map(({ name, dataTypeID }) => ({ name, dataTypeID }));
          },
        },
      );
    } catch (thrown) {
      // Those before the one that failed are prepared.
      this.#statements.forget(made);
      throw thrown;
    } finally {
      connection.off('parameterDescription', onParameters);
    }
  }

  async #learn(made: readonly Prepared[]): Promise<void> {
    const oids = made.flatMap(({ fields }) => fields.map(({ dataTypeID }) => dataTypeID));
    await this.#learnTypes(this.#parts.types.unknown(oids));
  }

  async #learnTypes(oids: readonly number[]): Promise<void> {
    if (oids.length === 0) return;
    const { types } = this.#parts;
    const known = this.#statements.get(typeQuery);
    const prepared = known ?? unprepared(typeQuery, true);
    if (known === undefined) {
      await this.#describe([prepared]);
      prepared.row = rowMaker(prepared.fields, types);
      this.#statements.add(prepared);
    }
    const [result] = await this.run([{ prepared, values: [`{${oids.join(',')}}`] }]);
    for (const { oid, name, element } of result?.rows ?? [])
      types.learn(Number(oid), String(name), element === null || element === undefined ? undefined : Number(element));
    for (const oid of types.unknown(oids)) types.learn(oid, `oid ${oid}`, undefined);
  }

  async #exchange(send: (wire: Wire, sync: () => void) => void, on: ExchangeHandlers): Promise<void> {
    await this.#guarded(() => {
      const exchange = new Exchange(send, on);
      this.#parts.client.query(exchange as unknown as Submittable);
      return exchange.ended;
    });
  }

  async #guarded(body: () => Promise<unknown>): Promise<void> {
    this.#running += 1;
    try {
      await body();
    } catch (thrown) {
      const failure = pgFailure(thrown);
      if (failure.broken) this.#broken = true;
      throw failure;
    } finally {
      this.#running -= 1;
    }
  }
}

/** The types with these numbers, and those of the elements of arrays among them. */
const typeQuery =
  "SELECT oid::int8 AS oid, format_type(oid, NULL) AS name, CASE WHEN typinput = 'array_in'::regproc AND typdelim = ',' THEN typelem::int8 END AS element " +
  'FROM pg_catalog.pg_type WHERE oid = ANY($1::oid[]) ' +
  'OR oid IN (SELECT typelem FROM pg_catalog.pg_type WHERE oid = ANY($1::oid[])) ORDER BY element NULLS FIRST';
