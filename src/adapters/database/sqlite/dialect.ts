import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { wrongCount } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { checkNames, countOf, expandLists, placesOf } from '../sql/lists.ts';

/**
 * What may hold a question mark that is no placeholder, and the placeholder itself, as SQLite's tokenizer has them: a name may begin with a digit, hold
 * any character beyond ASCII, `$` and `::`, and end with something in brackets; a `$` within a word is a part of it.
 */
const parts =
  /'[^']*'?|"[^"]*"?|`[^`]*`?|\[[^\]]*\]?|--[^\n]*|\/\*.*?(?:\*\/|$)|(\?\d*|(?:[:@#]|(?<![\w$\u0080-\ufefe\uff00-\uffff])\$)(?:::)*[\w$\u0080-\uffff](?:[\w$\u0080-\uffff]|::)*(?:\([^ \t\n\v\f\r)]*\)?)?)|:+/gs;

export const sqliteDialect: Dialect = {
  quote: (name) => `"${name.replaceAll('"', '""')}"`,
  nameBytesMax: 512,
  placeholder: () => '?',
  valuesMax: 32_766,
  bytesMax: 64 * 1024 * 1024,
  defaultInValues: false,
  defaultRowsMax: 1,
  consecutiveIds: false,
  insertDefaults: () => 'DEFAULT VALUES',
  listValues: false,
  unlimited: '-1',
  ilike: (column, value) => `LOWER(${column}) LIKE LOWER(${value})`,
  upsert: 'on conflict',
  returning: () => true,
  bind(text, values) {
    const places = placesOf(text, parts);
    if (isObject(values)) {
      checkNames(places, values as JSONObject);
      return { text, values: [], named: values as JSONObject, reuse: true };
    }
    const given = values as readonly JSONValue[];
    const wanted = countOf(places);
    if (wanted !== given.length) throw wrongCount(wanted, given.length, '?');
    return given.some(Array.isArray) ? expandLists(text, given, places) : { text, values: given, reuse: true };
  },
  explain: (text) => `EXPLAIN QUERY PLAN ${text}`,
  describe: (table) => ({
    text: 'SELECT name, type, pk AS is_key FROM pragma_table_info(?, ?) WHERE pk > 0',
    values: [table.at(-1) ?? '', table.length > 1 ? (table.at(-2) ?? null) : 'main'],
    reuse: true,
  }),
  transactionalDdl: true,
  effects: {
    create: [
      'CREATE TABLE IF NOT EXISTS _jsonflow_effects (' +
        'effect_key TEXT NOT NULL PRIMARY KEY, params_digest TEXT NOT NULL, output TEXT, created_at INTEGER NOT NULL DEFAULT (unixepoch())) ' +
        'WITHOUT ROWID',
      'CREATE INDEX IF NOT EXISTS _jsonflow_effects_created_at ON _jsonflow_effects (created_at)',
    ],
    insert: "INSERT INTO _jsonflow_effects (effect_key, params_digest) VALUES (?, '')",
    select: 'SELECT params_digest, output FROM _jsonflow_effects WHERE effect_key = ?',
    update: 'UPDATE _jsonflow_effects SET output = ?, params_digest = ? WHERE effect_key = ?',
    prune:
      'DELETE FROM _jsonflow_effects WHERE effect_key IN (SELECT effect_key FROM _jsonflow_effects ' +
      'WHERE created_at < unixepoch() - 30 * 86400 ORDER BY created_at LIMIT 1000)',
  },
  migrations: {
    now: "strftime('%Y-%m-%dT%H:%M:%fZ')",
    create:
      'CREATE TABLE IF NOT EXISTS _jsonflow_migrations (' +
      "id TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL, started_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')), " +
      'finished_at TEXT)',
  },
  commitsImplicitly: () => false,
};
