import { type FailureKind, SqlFailure, type SqlFailureOptions } from '../errors.ts';

/** Extended result codes. */
const constraints: Readonly<Record<number, FailureKind>> = {
  1555: 'unique',
  2067: 'unique',
  2579: 'unique',
  787: 'foreign key',
  1299: 'not null',
  275: 'check',
};

/** A failure of SQLite, by its result code. Its messages name tables and columns, never values. */
export function sqliteFailure(code: number | null, message: string, options: SqlFailureOptions = {}): SqlFailure {
  const at = `(SQLite ${code ?? 'error'})`;
  const base: SqlFailureOptions = { ...options, state: String(code) };
  switch ((code ?? 1) & 0xff) {
    case 5:
    case 6:
      return new SqlFailure('SERIALIZATION_FAILED', `the database is locked by another connection ${at}`, {
        ...base,
        retryable: true,
      });
    case 8:
      return new SqlFailure('READ_ONLY', `${message} ${at}`, base);
    case 14:
    case 26:
      return new SqlFailure('CONNECTION_FAILED', `${message} ${at}`, { ...base, broken: true });
    case 10:
    case 13:
      return new SqlFailure('QUERY_FAILED', `${message} ${at}`, { ...base, broken: true });
    case 19:
      return new SqlFailure(
        'CONSTRAINT_VIOLATED',
        `${code === 1811 ? 'a trigger refused the change' : message} ${at}`,
        {
          ...base,
          kind: constraints[code ?? 0] ?? 'other',
        },
      );
    default:
      return new SqlFailure('QUERY_FAILED', `${message} ${at}`, { ...base, kind: kindOf(message) });
  }
}

function kindOf(message: string): FailureKind {
  if (message.startsWith('no such table')) return 'no table';
  return message.endsWith('already exists') ? 'exists' : 'other';
}
