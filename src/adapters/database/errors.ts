import { StepError } from '../../lib/errors.ts';
import { speaksNoTls } from '../../lib/net.ts';

/**
 * Whether the operation may have changed anything: `no` where the server said that it failed or nothing was sent, `unknown` where the
 * connection was lost while the server was committing.
 */
export type Effect = 'no' | 'unknown';

/** What the adapter acts upon, whatever the server calls it. */
export type FailureKind = 'unique' | 'foreign key' | 'not null' | 'check' | 'no table' | 'exists' | 'other';

export interface SqlFailureOptions {
  kind?: FailureKind;
  retryable?: boolean;
  effect?: Effect;
  /** SQLSTATE, or the server's own code. */
  state?: string | undefined;
  /** Whether the connection is of no use any more. */
  broken?: boolean;
  /** Whether it is certain that none of several statements had any effect. */
  untouched?: boolean;
  cause?: unknown;
}

/** A failure of an SQL operation, with what decides whether it may be tried again. */
export class SqlFailure extends StepError {
  readonly kind: FailureKind;
  readonly effect: Effect;
  readonly state: string | undefined;
  readonly broken: boolean;
  readonly untouched: boolean;

  constructor(code: string, message: string, options: SqlFailureOptions = {}) {
    super(code, message, options);
    this.kind = options.kind ?? 'other';
    this.effect = options.effect ?? 'no';
    this.state = options.state;
    this.broken = options.broken ?? false;
    this.untouched = options.untouched ?? false;
  }

  /** The same failure in other words. */
  saying(message: string): SqlFailure {
    const { code, kind, retryable, effect, state, broken, untouched } = this;
    return new SqlFailure(code, message, { kind, retryable, effect, state, broken, untouched, cause: this });
  }
}

/** Codes of TLS, as Node, OpenSSL and the drivers have them. */
const tlsCode = /CERT|TLS|SSL|VERIFY|SIGNED|SECURE|ALTNAME|^EPROTO$/;

export const noTls = 'the server has no TLS, which the connection string asks for';

/** Why there is no TLS connection. @returns undefined where the code says nothing of TLS */
export function tlsReason(code: string): string | undefined {
  // The second is what mysql2 says.
  if (speaksNoTls(code) || code === 'HANDSHAKE_NO_SSL_SUPPORT') return `${noTls} (${code})`;
  return tlsCode.test(code) ? `no trusted TLS connection to the server could be made (${code})` : undefined;
}

export const invalidParams = (message: string): StepError => new StepError('INVALID_PARAMS', message);

/** A server may bind anything to a placeholder that has no value. @param written how placeholders are written here */
export const wrongCount = (placeholders: number, values: number, written: string): StepError =>
  invalidParams(
    `params.params has ${values} values, but params.query ${placeholders} placeholders, which are written ${written} here`,
  );
