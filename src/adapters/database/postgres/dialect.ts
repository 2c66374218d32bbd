import { wrongCount } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';

/** How they are written. */
export const placeholders = '$1, $2, …';

export const postgresDialect: Dialect = {
  quote: (name) => `"${name.replaceAll('"', '""')}"`,
  nameBytesMax: 63,
  placeholder: (index) => `$${index}`,
  valuesMax: 65_535,
  bytesMax: 64 * 1024 * 1024,
  defaultInValues: true,
  defaultRowsMax: 1,
  consecutiveIds: false,
  insertDefaults: () => 'DEFAULT VALUES',
  listValues: true,
  unlimited: 'ALL',
  ilike: (column, value) => `${column} ILIKE ${value}`,
  upsert: 'on conflict',
  returning: () => true,
  bind(text, values) {
    const given = Array.isArray(values) ? values : [];
    // The server counts (`PgConnection`); but where it is asked for another style, it would speak of something else.
    if (given.length > 0 && !/\$\d/.test(text)) throw wrongCount(0, given.length, placeholders);
    return { text, values: given, reuse: true };
  },
  explain: (text) => `EXPLAIN (FORMAT JSON) ${text}`,
  describe: (table) => ({
    text:
      "SELECT a.attname AS name, '' AS type, true AS is_key FROM pg_catalog.pg_index i " +
      'JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) ' +
      'WHERE i.indrelid = to_regclass($1) AND i.indisprimary',
    values: [table.map((part) => `"${part.replaceAll('"', '""')}"`).join('.')],
    reuse: true,
  }),
  transactionalDdl: true,
  effects: {
    create: [
      'CREATE TABLE IF NOT EXISTS _jsonflow_effects (' +
        'effect_key text PRIMARY KEY, params_digest text NOT NULL, output text, created_at timestamptz NOT NULL DEFAULT now())',
      'CREATE INDEX IF NOT EXISTS _jsonflow_effects_created_at ON _jsonflow_effects (created_at)',
    ],
    insert: "INSERT INTO _jsonflow_effects (effect_key, params_digest) VALUES ($1, '')",
    select: 'SELECT params_digest, output FROM _jsonflow_effects WHERE effect_key = $1',
    update: 'UPDATE _jsonflow_effects SET output = $1, params_digest = $2 WHERE effect_key = $3',
    prune:
      'DELETE FROM _jsonflow_effects WHERE effect_key IN (SELECT effect_key FROM _jsonflow_effects ' +
      "WHERE created_at < now() - interval '30 days' ORDER BY created_at LIMIT 1000 FOR UPDATE SKIP LOCKED)",
  },
  migrations: {
    now: 'clock_timestamp()',
    create:
      'CREATE TABLE IF NOT EXISTS _jsonflow_migrations (' +
      'id text PRIMARY KEY, checksum text NOT NULL, started_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz)',
  },
  lock: {
    // A constant of this table's own: advisory locks have numbers, not names.
    lock: { text: 'SELECT pg_advisory_lock(7236837216837)', values: [], reuse: false },
    unlock: { text: 'SELECT pg_advisory_unlock(7236837216837)', values: [], reuse: false },
  },
  commitsImplicitly: () => false,
};
