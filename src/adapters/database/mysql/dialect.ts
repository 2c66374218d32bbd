import type { JSONValue } from '../../../lib/json.ts';
import { wrongCount } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { expandLists, placesOf } from '../sql/lists.ts';
import { isIsoTime, toMysqlTime } from './times.ts';

/** What is known once a connection is made. */
export interface MysqlFacts {
  mariadb: boolean;
  /** auto_increment_increment. */
  step: number;
  /** max_allowed_packet. */
  packetBytes: number;
}

/** What may hold a question mark that is no placeholder, and the placeholder itself. */
const parts =
  /'(?:[^'\\]+|\\.)*'?|"(?:[^"\\]+|\\.)*"?|`[^`]*`?|--(?![!-~\u0080-\uffff])[^\n]*|#[^\n]*|\/\*.*?(?:\*\/|$)|(\?)/gs;

export const quote = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

const implicit = new Set(
  (
    'ALTER CREATE DROP TRUNCATE RENAME GRANT REVOKE ANALYZE OPTIMIZE REPAIR CHECK CACHE CHECKSUM RESET START STOP SHUTDOWN ' +
    'IMPORT RESTART CLONE'
  ).split(' '),
);

/** How SQL is written for this server. Some of it is the server's setting, and read when it is needed. */
export function mysqlDialect(facts: MysqlFacts): Dialect {
  return {
    quote,
    nameBytesMax: 64 * 3,
    placeholder: () => '?',
    valuesMax: 65_535,
    get bytesMax() {
      // Room for what is around the values.
      return facts.packetBytes - 256 * 1024;
    },
    defaultInValues: true,
    defaultRowsMax: 1_000,
    get consecutiveIds() {
      return facts.step === 1;
    },
    insertDefaults: (rows) => `() VALUES ${new Array(rows).fill('()').join(',')}`,
    listValues: false,
    unlimited: '18446744073709551615',
    ilike: (column, value) => `LOWER(${column}) LIKE LOWER(${value})`,
    upsert: 'on duplicate key',
    returning: (verb) => facts.mariadb && verb !== 'update',
    bind(text, values) {
      const given = values as readonly JSONValue[];
      // The server counts (`MysqlConnection`): where a text or a comment ends depends on its modes and its version. But it would take $1 for a column.
      if (given.length > 0 && /\$\d/.test(text) && !/[?:]/.test(text)) throw wrongCount(0, given.length, '?');
      return given.some(Array.isArray)
        ? expandLists(text, given, placesOf(text, parts))
        : { text, values: given, reuse: true };
    },
    explain: (text) => `EXPLAIN FORMAT=JSON ${text}`,
    describe: (table) => ({
      text:
        "SELECT column_name AS name, data_type AS type, column_key = 'PRI' AS is_key FROM information_schema.columns " +
        'WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?',
      values: [table.length > 1 ? (table.at(-2) ?? null) : null, table.at(-1) ?? ''],
      reuse: true,
    }),
    convert: (type) => (type === 'datetime' || type === 'timestamp' ? toMysqlTime : undefined),
    convertible: isIsoTime,
    transactionalDdl: false,
    effects: {
      create: [
        'CREATE TABLE IF NOT EXISTS _jsonflow_effects (' +
          'effect_key VARBINARY(1024) NOT NULL PRIMARY KEY, params_digest CHAR(64) CHARACTER SET ascii NOT NULL, ' +
          'output LONGTEXT CHARACTER SET utf8mb4, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, ' +
          'INDEX _jsonflow_effects_created_at (created_at)) ENGINE=InnoDB',
      ],
      insert: "INSERT INTO _jsonflow_effects (effect_key, params_digest) VALUES (?, '')",
      select: 'SELECT params_digest, output FROM _jsonflow_effects WHERE effect_key = ?',
      update: 'UPDATE _jsonflow_effects SET output = ?, params_digest = ? WHERE effect_key = ?',
      prune: 'DELETE FROM _jsonflow_effects WHERE created_at < NOW() - INTERVAL 30 DAY ORDER BY created_at LIMIT 1000',
    },
    migrations: {
      now: 'CURRENT_TIMESTAMP(6)',
      create:
        'CREATE TABLE IF NOT EXISTS _jsonflow_migrations (' +
        'id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, checksum CHAR(64) CHARACTER SET ascii NOT NULL, ' +
        'started_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), finished_at TIMESTAMP(6) NULL) ENGINE=InnoDB',
    },
    // Names of locks are the server's, so the database's goes into it; it may have 64 characters.
    lock: {
      lock: {
        text: "SELECT GET_LOCK(CONCAT('_jsonflow_', LEFT(SHA2(DATABASE(), 256), 48)), 86400) AS locked",
        values: [],
        reuse: false,
      },
      unlock: {
        text: "SELECT RELEASE_LOCK(CONCAT('_jsonflow_', LEFT(SHA2(DATABASE(), 256), 48))) AS locked",
        values: [],
        reuse: false,
      },
    },
    commitsImplicitly: (word) => implicit.has(word),
  };
}
