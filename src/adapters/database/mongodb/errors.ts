import { StepError } from '../../../lib/errors.ts';
import { tlsReason } from '../errors.ts';

const again = { retryable: true } as const;
const names = (list: string): ReadonlySet<string> => new Set(list.split(' '));
const notPrimary = new Set([189, 91, 7, 6, 89, 9001, 10107, 11600, 11602, 13435, 13436]);
const transient = names(
  'MongoNetworkError MongoNetworkTimeoutError MongoPoolClearedError MongoPoolClosedError MongoTopologyClosedError MongoNotConnectedError MongoConnectionPoolClearedError',
);

export const isDuplicate = (thrown: unknown): boolean => codeOf(thrown) === 11000;

function codeOf(thrown: unknown): number | undefined {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : undefined;
}

/** The failure behind what the driver throws. Texts of the server are not shown: they quote data. @param secure whether TLS was asked for */
export function mongoError(thrown: unknown, server: string, secure: boolean): StepError {
  if (thrown instanceof StepError) return thrown;
  const inner = chain(thrown).find((one) => one instanceof StepError);
  if (inner instanceof StepError) return inner;
  if (!(thrown instanceof Error)) return new StepError('QUERY_FAILED', 'the MongoDB driver failed');
  const { name } = thrown;
  const deepest = chain(thrown)
    .map(codeOf)
    .find((code) => code !== undefined);
  if (name === 'MongoWaitQueueTimeoutError')
    return new StepError(
      'POOL_EXHAUSTED',
      `all connections (options.pool_size) to MongoDB at ${server} are in use; raise options.pool_size or options.acquire_timeout`,
      again,
    );
  if (deepest === 18)
    return new StepError(
      'AUTHENTICATION_FAILED',
      `MongoDB at ${server} refuses the user or password of the connection string`,
    );
  if (transient.has(name) || name === 'MongoServerSelectionError') return unreachable(thrown, server, secure);
  if (name.startsWith('BSON'))
    return new StepError(
      'INVALID_PARAMS',
      'a value or name does not fit into a MongoDB document (too large, a NUL character, or an unknown kind)',
    );
  return serverError(thrown, codeOf(thrown));
}

function serverError(thrown: Error, code: number | undefined): StepError {
  const codeName = (thrown as { codeName?: unknown }).codeName;
  const shown = `MongoDB error ${code ?? thrown.name}${typeof codeName === 'string' && /^\w{1,60}$/.test(codeName) ? ` (${codeName})` : ''}`;
  if (code === undefined) return new StepError('QUERY_FAILED', shown);
  if (code === 13) return new StepError('PERMISSION_DENIED', `${shown}: the connection's user may not do this`);
  if (code === 18 || code === 8000)
    return new StepError('AUTHENTICATION_FAILED', 'MongoDB refuses the user or password of the connection string');
  if (code === 50 || code === 262)
    return new StepError('QUERY_TIMEOUT', `${shown}: the server stopped at options.timeout`, again);
  if (code === 11000 || code === 121)
    return new StepError(
      'CONSTRAINT_VIOLATED',
      `${shown}: ${code === 121 ? "the collection's validation refuses the document" : 'a unique index has this value already'}`,
    );
  if (notPrimary.has(code)) return new StepError('CONNECTION_FAILED', `${shown}: no primary answers now`, again);
  if (code === 112 || code === 24)
    return new StepError('QUERY_FAILED', `${shown}: another operation was in the way`, again);
  if (code === 59 || code === 115 || code === 238)
    return new StepError('UNSUPPORTED', `${shown}: this server does not have it`);
  return new StepError('QUERY_FAILED', shown);
}

function unreachable(thrown: unknown, server: string, secure: boolean): StepError {
  const code = chain(thrown)
    .map((one) => (one as { code?: unknown }).code)
    .find((one): one is string => typeof one === 'string' && /^[A-Z_]{3,40}$/.test(one));
  const tls = code === undefined ? undefined : tlsReason(code);
  if (tls !== undefined) return new StepError('TLS_FAILED', `MongoDB at ${server}: ${tls}`, { cause: thrown });
  const why = code === undefined ? '' : ` (${code})`;
  // A server without TLS hangs up at its greeting, and so does one that goes down.
  const hint = secure && code === undefined ? '; may be it has no TLS, which the connection string asks for' : '';
  return new StepError('CONNECTION_FAILED', `can't reach MongoDB at ${server}${why}${hint}`, again);
}

/** An error, its causes, and those that the driver keeps per server. */
function chain(thrown: unknown): unknown[] {
  const found: unknown[] = [];
  const visit = (one: unknown): void => {
    if (!(one instanceof Error) || found.length >= 20 || found.includes(one)) return;
    found.push(one);
    visit(one.cause);
    const servers = (one as { reason?: { servers?: unknown } }).reason?.servers;
    if (servers instanceof Map) for (const server of servers.values()) visit((server as { error?: unknown }).error);
  };
  visit(thrown);
  return found;
}
