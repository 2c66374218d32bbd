import { StepError } from '../../../lib/errors.ts';
import { tlsReason } from '../errors.ts';

/** Replies that say nothing about anybody's data, so that they may be shown. */
const harmless = [
  'Operation against a key holding the wrong kind of value',
  'value is not an integer or out of range',
  'value is not a valid float',
  'hash value is not an integer',
  'hash value is not a float',
  'min or max is not a float',
  'increment or decrement would overflow',
  'increment would produce NaN or Infinity',
  'wrong number of arguments',
  'syntax error',
  'no such key',
  'index out of range',
  'offset is out of range',
  'string exceeds maximum allowed size',
  'invalid expire time',
  'bit offset is not an integer or out of range',
  'value is out of range, must be positive',
  'source and destination objects are the same',
  'The ID specified in XADD is equal or smaller than the target stream top item',
  'Invalid stream ID specified as stream command argument',
  'DB index is out of range',
];

const again = { retryable: true } as const;

/** The failure behind an error reply. @param where which command, such as `params.commands[2] (INCR): ` */
export function replyError(text: string, where = ''): StepError {
  // Within a script Redis has other words for NOPERM.
  const kind = text.includes("The user executing the script can't") ? 'NOPERM' : (/^[A-Z]+/.exec(text)?.[0] ?? 'ERR');
  switch (kind) {
    case 'NOAUTH':
    case 'WRONGPASS':
      return new StepError('AUTHENTICATION_FAILED', 'Redis refuses the user or password of the connection string');
    case 'NOPERM':
      return new StepError('PERMISSION_DENIED', `${where}the connection's user may not do this (NOPERM)`);
    case 'READONLY':
      return new StepError('READ_ONLY', `${where}the server is a read-only replica; connect to the primary`, again);
    case 'OOM':
      return new StepError('SERVER_FULL', `${where}the server has reached its maxmemory`, again);
    case 'MISCONF':
      return new StepError(
        'SERVER_UNAVAILABLE',
        `${where}the server can't persist and refuses writes (MISCONF)`,
        again,
      );
    case 'LOADING':
    case 'BUSY':
    case 'MASTERDOWN':
    case 'CLUSTERDOWN':
    case 'TRYAGAIN':
    case 'NOREPLICAS':
      return new StepError('SERVER_UNAVAILABLE', `${where}the server can't answer now (${kind})`, again);
    case 'MOVED':
    case 'ASK':
    case 'CROSSSLOT':
      return new StepError(
        'UNSUPPORTED',
        `${where}Redis Cluster is not supported: connect to a server that has all keys`,
      );
  }
  if (/^ERR (AUTH|invalid password|Client sent AUTH)/.test(text))
    return new StepError('AUTHENTICATION_FAILED', 'Redis refuses the user or password of the connection string');
  if (text.startsWith('ERR max number of clients'))
    return new StepError('SERVER_UNAVAILABLE', 'the server has too many clients', again);
  const shown = harmless.find((one) => text.includes(one));
  return new StepError('QUERY_FAILED', `${where}${kind}${shown === undefined ? '' : ` ${shown}`}`);
}

/** What a client's failure means that is no reply: the connection's. */
export function connectionError(thrown: unknown, server: string): StepError {
  if (thrown instanceof StepError) return thrown;
  const cause = causes(thrown).find((one) => one instanceof StepError);
  if (cause instanceof StepError) return cause;
  const code = causes(thrown)
    .map((one) => (one as { code?: unknown }).code)
    .find((one) => typeof one === 'string');
  const tls = typeof code === 'string' ? tlsReason(code) : undefined;
  if (tls !== undefined) return new StepError('TLS_FAILED', `Redis at ${server}: ${tls}`, { cause: thrown });
  return new StepError('CONNECTION_FAILED', `can't reach Redis at ${server}${code === undefined ? '' : ` (${code})`}`, {
    retryable: true,
  });
}

function causes(thrown: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let one = thrown; one instanceof Error && chain.length < 8; one = one.cause) {
    chain.push(one);
    if (one instanceof AggregateError) chain.push(...one.errors.slice(0, 8));
  }
  return chain;
}
