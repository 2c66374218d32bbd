import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { closest } from '../../../lib/suggest.ts';
import type { System } from '../driver.ts';
import { invalidParams, SqlFailure } from '../errors.ts';
import type { Dialect } from './dialect.ts';
import type { Statement } from './statement.ts';

const textMax = 1024 * 1024;
const reads = new Set(['SELECT', 'WITH', 'VALUES', 'TABLE', 'SHOW', 'EXPLAIN', 'DESCRIBE', 'DESC']);

/** Writes a file although the transaction only reads. */
const toFile = /\b(?:OUT|DUMP)FILE\b/i;

/** What would change the session or the transaction that the adapter itself keeps, or reach beyond the database. */
const refused = new Set(
  (
    'BEGIN START COMMIT END ROLLBACK ABORT SAVEPOINT RELEASE PREPARE EXECUTE DEALLOCATE XA ' +
    'SET RESET DISCARD LISTEN UNLISTEN NOTIFY LOAD COPY USE KILL SHUTDOWN HANDLER LOCK UNLOCK FLUSH INSTALL UNINSTALL CHANGE PURGE ' +
    'ATTACH DETACH PRAGMA VACUUM DECLARE FETCH MOVE CLOSE DELIMITER'
  ).split(' '),
);

/** The first word of a statement, in capitals, past comments and brackets; empty where there is none. */
export function firstWord(text: string, system: System): string {
  let at = 0;
  for (;;) {
    while (at < text.length && /[\s(;\uFEFF]/.test(text.charAt(at))) at += 1;
    if (text.startsWith('--', at) || (system === 'mysql' && text.charAt(at) === '#')) at = after(text, '\n', at);
    else if (text.startsWith('/*', at)) {
      // MySQL runs what such a comment holds.
      if (system === 'mysql' && /^\/\*M?!/.test(text.slice(at, at + 4))) return '/*!';
      at = system === 'postgres' ? afterNested(text, at) : after(text, '*/', at);
    } else return (/^[A-Za-z]+/.exec(text.slice(at, at + 40))?.[0] ?? '').toUpperCase();
  }
}

function after(text: string, end: string, from: number): number {
  const found = text.indexOf(end, from + (end === '*/' ? 2 : 0));
  return found === -1 ? text.length : found + end.length;
}

/** Comments of PostgreSQL hold comments. */
function afterNested(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    if (text.startsWith('/*', at)) depth += 1;
    else if (text.startsWith('*/', at)) depth -= 1;
    else continue;
    at += 1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}

function checkedText(query: JSONValue | undefined): string {
  if (typeof query !== 'string' || query.trim() === '') throw invalidParams('params.query must be an SQL statement');
  if (query.length > textMax) throw invalidParams(`params.query is longer than ${textMax} characters`);
  if (query.includes('\0')) throw invalidParams('params.query holds a NUL character');
  return query;
}

function boundValues(params: JSONObject, system: System): JSONValue[] | JSONObject {
  const { params: values = [] } = params;
  if (Array.isArray(values)) return values;
  if (typeof values === 'object' && values !== null && system === 'sqlite') return values;
  throw invalidParams('params.params must be a list of values');
}

/** A query of the workflow's author that only reads. The transaction is read-only besides. @throws StepError INVALID_PARAMS, READ_ONLY */
export function readStatement(params: JSONObject, system: System, dialect: Dialect): Statement {
  const text = checkedText(params.query);
  const word = firstWord(text, system);
  const guess = reads.has(word) ? undefined : closest(word, reads);
  if (guess !== undefined) throw invalidParams(`params.query begins with ${word}; did you mean ${guess}?`);
  if (!reads.has(word))
    throw new SqlFailure(
      'READ_ONLY',
      `db_query only reads, and params.query begins with ${word || 'no word'}; use db_update to change data`,
    );
  if (system === 'mysql' && toFile.test(text))
    throw new SqlFailure(
      'READ_ONLY',
      'db_query only reads, and params.query writes a file of the server (INTO OUTFILE)',
    );
  return { ...dialect.bind(text, boundValues(params, system)), raw: true };
}

/** A query of the workflow's author that may write. @throws StepError INVALID_PARAMS */
export function writeStatement(params: JSONObject, system: System, dialect: Dialect): Statement {
  const text = checkedText(params.query);
  const word = firstWord(text, system);
  if (word === '' || word === '/*!' || refused.has(word))
    throw invalidParams(
      `params.query may not begin with ${word || 'this'}: the adapter keeps the session and the transaction itself (db_transaction, options.isolation)`,
    );
  if (dialect.commitsImplicitly(word))
    throw invalidParams(
      `params.query: ${word} commits by itself on this server, so it can't be part of a step's transaction; use db_migrate`,
    );
  return { ...dialect.bind(text, boundValues(params, system)), raw: true };
}
