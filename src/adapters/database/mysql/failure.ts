import { StepError } from '../../../lib/errors.ts';
import { isObject } from '../../../lib/json.ts';
import { type FailureKind, SqlFailure, type SqlFailureOptions, tlsReason } from '../errors.ts';

const constraints: Readonly<Record<number, FailureKind>> = {
  1022: 'unique',
  1062: 'unique',
  1169: 'unique',
  1586: 'unique',
  1216: 'foreign key',
  1217: 'foreign key',
  1451: 'foreign key',
  1452: 'foreign key',
  1048: 'not null',
  1364: 'not null',
  3819: 'check',
  4025: 'check',
};
const deadlocks = new Set([1205, 1213, 1020]);
const timeouts = new Set([1317, 1969, 3024]);
const readOnly = new Set([1290, 1792, 1836]);
const credentials = new Set([1044, 1045, 1049, 1130, 1251, 1275, 1524, 1698]);
const unavailable = new Set([1040, 1042, 1043, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1927, 4031]);
/** Messages about values quote them. */
const quoting = new Set([1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1441, 1525, 1526, 3140, 3141, 4038, 4079]);

/** What mysql2 threw, as a failure of ours, without what may quote rows. */
export function mysqlFailure(thrown: unknown, options: SqlFailureOptions = {}): SqlFailure {
  if (thrown instanceof SqlFailure) return thrown;
  if (thrown instanceof StepError)
    return new SqlFailure(thrown.code, thrown.message, { ...options, retryable: thrown.retryable, cause: thrown });
  const error = serverError(thrown);
  if (error === undefined) return connectionFailure(thrown, options);
  const { errno, message, sqlState } = error;
  const at = `(error ${errno}, SQLSTATE ${sqlState})`;
  const base: SqlFailureOptions = { ...options, state: String(errno), cause: thrown };
  const kind = constraints[errno];
  if (kind !== undefined)
    return new SqlFailure('CONSTRAINT_VIOLATED', `a ${kind} constraint${constraintName(message)} is violated ${at}`, {
      ...base,
      kind,
    });
  // SIGNAL of a procedure or trigger says what its author likes.
  if (errno === 1644 || sqlState.startsWith('45'))
    return new SqlFailure('QUERY_FAILED', `a procedure or trigger of the database signalled a failure ${at}`, base);
  // Such as a record that a foreign key would double: the message quotes it.
  if (sqlState === '23000')
    return new SqlFailure('CONSTRAINT_VIOLATED', `an integrity constraint is violated ${at}`, base);
  if (errno === 1153)
    return new SqlFailure(
      'QUERY_FAILED',
      `a value, a row or the output is larger than the server's max_allowed_packet ${at}`,
      { ...base, broken: true },
    );
  if (deadlocks.has(errno))
    return new SqlFailure('SERIALIZATION_FAILED', `${message} ${at}`, { ...base, retryable: true });
  if (timeouts.has(errno))
    return new SqlFailure('QUERY_TIMEOUT', `the server stopped the statement ${at}`, { ...base, retryable: true });
  if (readOnly.has(errno))
    return new SqlFailure('READ_ONLY', `the server refuses to write: the transaction only reads ${at}`, base);
  if (credentials.has(errno))
    return new SqlFailure(
      'AUTHENTICATION_FAILED',
      `the server refuses the user, or the user may not use the database ${at}`,
      { ...base, broken: true },
    );
  if (unavailable.has(errno))
    return new SqlFailure('CONNECTION_FAILED', `${message} ${at}`, { ...base, retryable: true, broken: true });
  if (quoting.has(errno) || sqlState.startsWith('22'))
    return new SqlFailure('QUERY_FAILED', `a value does not fit${column(message)} ${at}`, base);
  const other = errno === 1146 ? 'no table' : errno === 1050 || errno === 1061 ? 'exists' : 'other';
  return new SqlFailure('QUERY_FAILED', `${message.split('\n', 1)[0]} ${at}`, { ...base, kind: other });
}

/** The value that was refused comes before the name, so only the end of the message is taken. */
function constraintName(message: string): string {
  const named =
    /(?:for key|CONSTRAINT|Check constraint|Column|Field) ['`]([^'`]{1,128})['`](?: is violated\.| cannot be null| doesn't have a default value| failed for [^']*| FOREIGN KEY.*)?$/s.exec(
      message,
    );
  return named === null ? '' : ` "${named[1]}"`;
}

function column(message: string): string {
  const from = message.lastIndexOf(' for column ');
  const named =
    from === -1 ? null : / for column ([^']{0,200}?)(?:'?([^'\s]{1,64})'?) at row (\d+)$/.exec(message.slice(from));
  return named === null ? ' its column' : ` column ${named[2]?.replaceAll('`', '')} (row ${named[3]} of the statement)`;
}

function connectionFailure(thrown: unknown, options: SqlFailureOptions): SqlFailure {
  const code = isObject(thrown) && typeof thrown.code === 'string' ? thrown.code : '';
  const tls = tlsReason(code);
  if (tls !== undefined) return new SqlFailure('TLS_FAILED', tls, { ...options, broken: true, cause: thrown });
  return new SqlFailure('CONNECTION_FAILED', `${code === '' ? '' : `${code}: `}the connection to the server failed`, {
    ...options,
    retryable: true,
    broken: true,
    cause: thrown,
  });
}

interface ServerError {
  errno: number;
  message: string;
  sqlState: string;
}

function serverError(thrown: unknown): ServerError | undefined {
  if (!isObject(thrown) || typeof thrown.errno !== 'number' || typeof thrown.sqlState !== 'string') return undefined;
  const message = typeof thrown.sqlMessage === 'string' ? thrown.sqlMessage : String(thrown.message);
  return { errno: thrown.errno, message, sqlState: thrown.sqlState };
}
