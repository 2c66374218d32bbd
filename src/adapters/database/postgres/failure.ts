import { StepError } from '../../../lib/errors.ts';
import { isObject } from '../../../lib/json.ts';
import { type FailureKind, noTls, SqlFailure, type SqlFailureOptions, tlsReason } from '../errors.ts';

const constraints: Readonly<Record<string, FailureKind>> = {
  '23505': 'unique',
  '23503': 'foreign key',
  '23502': 'not null',
  '23514': 'check',
  '23P01': 'unique',
};
const serialization = new Set(['40001', '40P01', '55P03']);
const credentials = new Set(['28000', '28P01', '3D000']);
const unavailable = new Set(['57P01', '57P02', '57P03', '53300', '53400']);
/** The connection's prepared statements are of no use any more: the schema has changed, or a proxy has another connection behind it. */
const staleStatement = ({ code, routine }: ServerError): boolean =>
  code === '26000' || (code === '0A000' && routine === 'RevalidateCachedQuery');

/** What pg threw, as a failure of ours. What may quote rows is left out: details, and messages about malformed values. */
export function pgFailure(thrown: unknown, options: SqlFailureOptions = {}): SqlFailure {
  if (thrown instanceof SqlFailure) return thrown;
  if (thrown instanceof StepError)
    return new SqlFailure(thrown.code, thrown.message, { ...options, retryable: thrown.retryable, cause: thrown });
  if (!isServerError(thrown)) return connectionFailure(thrown, options);
  const { code, message } = thrown;
  const base: SqlFailureOptions = { ...options, state: code, cause: thrown };
  const kind = constraints[code];
  if (code.startsWith('23')) {
    const named = [
      thrown.constraint && `"${thrown.constraint}"`,
      thrown.table && `of table "${thrown.table}"`,
      thrown.column && `column "${thrown.column}"`,
    ];
    return new SqlFailure(
      'CONSTRAINT_VIOLATED',
      `a ${kind ?? 'integrity'} constraint ${named.filter((one) => one).join(', ')} is violated (SQLSTATE ${code})`,
      { ...base, kind: kind ?? 'other' },
    );
  }
  // RAISE of a function says what its author likes, with any code.
  if (thrown.routine === 'exec_stmt_raise' && !serialization.has(code))
    return new SqlFailure('QUERY_FAILED', `${silent.P0001} (SQLSTATE ${code})`, base);
  if (serialization.has(code))
    return new SqlFailure('SERIALIZATION_FAILED', `a deadlock, a conflict or a lock (SQLSTATE ${code})`, {
      ...base,
      retryable: true,
    });
  if (code === '57014')
    return new SqlFailure('QUERY_TIMEOUT', `the server stopped the statement: ${primary(code, message)}`, {
      ...base,
      retryable: true,
    });
  if (code === '25P03' || code === '57P05')
    return new SqlFailure('QUERY_TIMEOUT', primary(code, message), { ...base, retryable: true, broken: true });
  if (code === '25006') return new SqlFailure('READ_ONLY', primary(code, message), base);
  if (credentials.has(code))
    return new SqlFailure('AUTHENTICATION_FAILED', primary(code, message), { ...base, broken: true });
  if (unavailable.has(code) || code.startsWith('08'))
    return new SqlFailure('CONNECTION_FAILED', primary(code, message), { ...base, retryable: true, broken: true });
  if (staleStatement(thrown))
    return new SqlFailure('QUERY_FAILED', primary(code, message), { ...base, retryable: true, broken: true });
  return new SqlFailure('QUERY_FAILED', primary(code, message, thrown.position), { ...base, kind: kindOf(code) });
}

function kindOf(code: string): FailureKind {
  if (code === '42P01') return 'no table';
  return code === '42P07' || code === '42710' ? 'exists' : 'other';
}

/** What the messages of these say, without the values in them. */
const silent: Readonly<Record<string, string>> = {
  '22001': 'a text is too long for its column',
  '22003': 'a number is out of the range of its type',
  '22007': 'a date or time is malformed',
  '22008': 'a date or time is out of range',
  '22012': 'division by zero',
  '22021': 'a text holds a character that the encoding of the database does not have, such as NUL',
  '22023': 'a value is not one that the function takes',
  '22P02': "a value is not of the form that its column's type needs",
  '22P03': 'a value of bytes does not fit its type',
  P0001: 'a function of the database raised an exception',
};

/** Class 22 is about values, which its messages quote; P0001 is what a function says, which may be anything. */
function primary(code: string, message: string, position?: string): string {
  const where = position === undefined ? '' : ` at character ${position}`;
  if (code.startsWith('22') || code.startsWith('P0') || code.startsWith('XX'))
    return `${silent[code] ?? 'a value or a function of the query failed'} (SQLSTATE ${code})${where}`;
  return `${message.split('\n', 1)[0]} (SQLSTATE ${code})${where}`;
}

function connectionFailure(thrown: unknown, options: SqlFailureOptions): SqlFailure {
  const code = isObject(thrown) && typeof thrown.code === 'string' ? thrown.code : undefined;
  const message = thrown instanceof Error ? thrown.message : 'the connection failed';
  if (message.startsWith('SASL') || message.includes('password must be'))
    return new SqlFailure(
      'AUTHENTICATION_FAILED',
      'the server wants a password that the connection string does not have',
      {
        ...options,
        broken: true,
        cause: thrown,
      },
    );
  // The client's own words, where the server answers that it has none.
  const tls = /does not support SSL/.test(message) ? noTls : tlsReason(code ?? (/SSL|TLS/.test(message) ? 'TLS' : ''));
  if (tls !== undefined) return new SqlFailure('TLS_FAILED', tls, { ...options, broken: true, cause: thrown });
  return new SqlFailure(
    'CONNECTION_FAILED',
    code === undefined ? message : `${code}: the connection to the server failed`,
    {
      ...options,
      retryable: true,
      broken: true,
      cause: thrown,
    },
  );
}

interface ServerError {
  code: string;
  message: string;
  constraint?: string;
  table?: string;
  column?: string;
  position?: string;
  /** Of the server's source: messages may be in any language. */
  routine?: string;
}

/** Errors of the server have a severity; those of sockets have not. */
const isServerError = (thrown: unknown): thrown is ServerError =>
  thrown instanceof Error && 'severity' in thrown && 'code' in thrown && typeof thrown.code === 'string';
