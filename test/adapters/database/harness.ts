// What tests of the adapter `database` share: steps as the engine runs them, with blobs and keys of the test's own.
import { createDatabaseAdapter } from '../../../src/adapters/database/adapter.ts';
import type { WritePoint } from '../../../src/adapters/database/driver.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { EgressRules } from '../../../src/egress/policy.ts';
import type { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { isObject } from '../../../src/lib/json.ts';
import type { Adapter, AdapterContext } from '../../../src/ports/adapter.ts';
import type { StoredData } from '../../../src/protocol/stored-data.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';

export interface StepOptions {
  /** What names the step's effect; by default one that no other step has. */
  key?: string;
  signal?: AbortSignal;
  tenant?: string;
  attempt?: number;
}

/** An adapter with the steps of a test. */
export class Harness {
  readonly url: string;
  readonly adapter: Adapter;
  readonly #registry = new AdapterRegistry();
  #blobs = contextFor({ id: 'blobs', type: '', params: {} }).blobs;
  #steps = 0;

  constructor(
    url: string,
    options: { rules?: EgressRules; reached?: (point: WritePoint) => void; idleMs?: number; failBlobs?: Error } = {},
  ) {
    const { rules, failBlobs, ...rest } = options;
    if (failBlobs !== undefined) this.#blobs = { ...this.#blobs, put: () => Promise.reject(failBlobs) };
    this.url = url;
    this.adapter = createDatabaseAdapter({ egress: createEgress(rules), ...rest });
    this.#registry.register(this.adapter);
  }

  async step(
    type: string,
    params: JSONObject,
    { key, signal, tenant, attempt = 1 }: StepOptions = {},
  ): Promise<JSONObject> {
    this.#steps += 1;
    const step = { id: `s${this.#steps}`, type, params: { connection: this.url, ...params } };
    const context: AdapterContext = {
      ...contextFor(step, signal),
      attempt,
      blobs: this.#blobs,
      tenant_id: tenant ?? null,
      idempotency_key: key ?? `${process.pid}-${Math.random()}/${step.id}`,
    };
    const output = await this.#registry.run(step, context);
    if (!isObject(output)) throw new Error('an output is an object');
    return output as JSONObject;
  }

  query(params: JSONObject, options?: StepOptions): Promise<JSONObject> {
    return this.step('db_query', params, options);
  }
  insert(params: JSONObject, options?: StepOptions): Promise<JSONObject> {
    return this.step('db_insert', params, options);
  }
  update(params: JSONObject, options?: StepOptions): Promise<JSONObject> {
    return this.step('db_update', params, options);
  }
  transaction(params: JSONObject, options?: StepOptions): Promise<JSONObject> {
    return this.step('db_transaction', params, options);
  }
  migrate(params: JSONObject, options?: StepOptions): Promise<JSONObject> {
    return this.step('db_migrate', params, options);
  }

  /** Changes of the schema that a test begins with. */
  async ddl(...statements: string[]): Promise<void> {
    for (const [index, sql] of statements.entries())
      await this.migrate({ migrations: [...this.#ddl, { id: `ddl_${this.#ddl.length}_${index}`, sql }] }).then(() => {
        this.#ddl.push({ id: `ddl_${this.#ddl.length}_${index}`, sql });
      });
  }
  readonly #ddl: { id: string; sql: string }[] = [];

  async rows(params: JSONObject): Promise<JSONObject[]> {
    return (await this.query(params)).rows as JSONObject[];
  }

  async count(table: string, where: JSONObject = {}): Promise<number> {
    return (await this.rows({ table, where })).length;
  }

  /** Rows that an output has stored. */
  async stored(data: unknown): Promise<JSONObject[]> {
    const rows: JSONObject[] = [];
    for (const { digest } of (data as StoredData).chunks)
      for (const line of Buffer.from(await this.#blobs.get(digest))
        .toString()
        .trim()
        .split('\n'))
        rows.push(JSON.parse(line) as JSONObject);
    return rows;
  }

  close(): Promise<void> {
    return this.#registry.close();
  }
}

/** For `assert.rejects`: the code, and what the message says and must not say. */
export const fails =
  (code: string, { says, silent = [] }: { says?: RegExp; silent?: string[] } = {}) =>
  (thrown: unknown): boolean => {
    const { code: actual, message } = thrown as StepError;
    if (actual !== code) throw new Error(`expected ${code}, got ${actual}: ${message}`, { cause: thrown });
    if (says !== undefined && !says.test(message)) throw new Error(`the message is: ${message}`);
    for (const secret of silent)
      if (message.includes(secret)) throw new Error(`the message tells a secret: ${message}`);
    return true;
  };
