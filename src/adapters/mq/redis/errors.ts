import { StepError } from '../../../lib/errors.ts';
import { reasonOf } from '../reasons.ts';

/** What Redis or the connection to it answered, as an error of a step. Redis quotes command names in its texts, never values. */
export function redisError(thrown: unknown, what: string, code: string): StepError {
  if (thrown instanceof StepError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const failed = (name: string, message: string, retryable = false): StepError =>
    new StepError(name, `${what}: ${message}`, { retryable, cause: thrown });
  const kind = /^(?:ERR )?(-?[A-Z]{4,})\b/.exec(text)?.[1] ?? '';
  switch (kind) {
    case 'WRONGPASS':
    case 'NOAUTH':
      return failed('AUTHENTICATION_FAILED', 'Redis refuses the user name or password');
    case 'NOPERM':
      return failed('AUTHENTICATION_FAILED', 'the user may not do this (NOPERM)');
    case 'WRONGTYPE':
      return failed('QUEUE_MISMATCH', 'the key is there, but it is not a stream');
    case 'MOVED':
    case 'ASK':
    case 'CROSSSLOT':
    case 'CLUSTERDOWN':
      return failed('UNSUPPORTED', 'Redis Cluster is not supported: name a single server');
    case 'OOM':
      return failed(code, 'Redis is out of memory (maxmemory)', true);
    case 'LOADING':
    case 'READONLY':
    case 'MASTERDOWN':
    case 'MISCONF':
    case 'BUSY':
    case 'TRYAGAIN':
    case 'NOREPLICAS':
    case 'NOSCRIPT':
      return failed('CONNECTION_FAILED', `Redis can't do it at present (${kind})`, true);
    default:
      break;
  }
  if (isReply(thrown)) return failed(code, text.slice(0, 200));
  const lost = codeOf(thrown);
  const reason = reasonOf(lost);
  if (reason !== undefined) return failed('CONNECTION_FAILED', `no connection: ${reason.why}`, reason.retryable);
  return failed('CONNECTION_FAILED', `no connection${lost === '' ? '' : ` (${lost})`}`, true);
}

/** @param kind first word of the reply, such as NOGROUP */
export const isReplyOf = (thrown: unknown, kind: string): boolean =>
  thrown instanceof Error && (thrown.message.startsWith(kind) || thrown.message.startsWith(`-${kind}`));

/** Replies of the server are of a class that only the driver has, which is loaded late. */
const isReply = (thrown: unknown): boolean =>
  thrown instanceof Error && /^(SimpleError|BlobError|ErrorReply)$/.test(thrown.constructor.name);

function codeOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : '';
}
