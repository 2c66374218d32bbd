import { StepError } from '../../../lib/errors.ts';
import { reasonOf } from '../reasons.ts';

/** Why a connection could not be opened. The server's text never quotes credentials, but the URL does: it is not used. */
export function connectError(thrown: unknown, where: string): StepError {
  if (thrown instanceof StepError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const code = codeOf(thrown);
  const failed = (name: string, what: string, retryable: boolean): StepError =>
    new StepError(name, `${where}: ${what}`, { retryable, cause: thrown });
  if (/\b403\b|ACCESS.REFUSED/.test(text))
    return failed('AUTHENTICATION_FAILED', 'the broker refuses the user name or password', false);
  if (/\b530\b|NOT.ALLOWED/.test(text))
    return failed('AUTHENTICATION_FAILED', 'the virtual host does not exist, or the user may not use it', false);
  const reason = reasonOf(code);
  if (reason !== undefined) return failed('CONNECTION_FAILED', `no connection: ${reason.why}`, reason.retryable);
  return failed('CONNECTION_FAILED', `no connection${code === '' ? '' : ` (${code})`}`, true);
}

/** Why an operation on a channel failed. @param code where the broker's answer says nothing better */
export function channelError(thrown: unknown, what: string, code: string): StepError {
  if (thrown instanceof StepError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const said = /with message "(?:[A-Z_]+ - )?(.*)"$/s.exec(text)?.[1] ?? '';
  const failed = (name: string, message: string, retryable = false): StepError =>
    new StepError(name, `${what}: ${message}`.slice(0, 1_000), { retryable, cause: thrown });
  switch (replyCodeOf(thrown)) {
    case 404:
      return failed('QUEUE_NOT_FOUND', `${said}; create it with mq_create_queue`);
    case 403:
      return failed('AUTHENTICATION_FAILED', said);
    case 405:
      return failed(code, `${said}; another connection holds it alone`);
    case 311:
      return failed('MESSAGE_TOO_LARGE', said);
    case 406:
      if (/message size|too large|larger than/i.test(said)) return failed('MESSAGE_TOO_LARGE', said);
      return failed(/inequivalent/.test(said) ? 'QUEUE_MISMATCH' : code, mismatchOf(said));
    case 540:
      return failed('UNSUPPORTED', said);
    case 320:
    case 541:
    case undefined:
      return failed('CONNECTION_FAILED', 'the connection to the broker was lost', true);
    default:
      return failed(code, said === '' ? text : said);
  }
}

const mismatchOf = (said: string): string =>
  said.replace(
    /^inequivalent arg '([^']*)' for (.*?) in vhost .*?: received (.*?) but current is (.*)$/s,
    'there is a $2 already, whose $1 is $4 and not $3',
  );

function replyCodeOf(thrown: unknown): number | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

function codeOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : '';
}
