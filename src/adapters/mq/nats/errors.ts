import { messageOf, StepError } from '../../../lib/errors.ts';
import { noTls, type Reason, reasonOf, silence } from '../reasons.ts';

/** JetStream's own numbers of errors. */
export const jetStreamCodes = {
  streamNotFound: 10059,
  consumerNotFound: 10014,
  notEnabled: 10039,
  notEnabledForAccount: 10076,
  streamNameInUse: 10058,
  subjectsOverlap: 10065,
  messageTooLarge: 10054,
  streamFull: 10077,
  insufficientResources: 10023,
} as const;

export function jetStreamCode(thrown: unknown): number | undefined {
  const { name, code } = (thrown ?? {}) as { name?: unknown; code?: unknown };
  return typeof name === 'string' && typeof code === 'number' && name !== 'JetStreamStatusError' ? code : undefined;
}

const nameOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.name : '');

/** Whether nobody listens on the subject of a request. */
export const isNoResponders = (thrown: unknown): boolean =>
  thrown instanceof Error &&
  [thrown, thrown.cause].some(
    (one) =>
      nameOf(one) === 'NoResponders' ||
      nameOf(one) === 'JetStreamNotEnabled' ||
      (nameOf(one) === 'RequestError' && nameOf((one as Error).cause) === 'NoResponders'),
  );

/** What the client threw, as a step's error. @param fallback code where the cause is none of those that have their own */
export function natsError(thrown: unknown, fallback: string, doing: string): StepError {
  if (thrown instanceof StepError) return thrown;
  const make = (code: string, why: string, retryable = false) =>
    new StepError(code, `${doing}: ${why}`, { retryable, cause: thrown });
  const { streamNotFound, notEnabled, notEnabledForAccount, messageTooLarge, streamFull, insufficientResources } =
    jetStreamCodes;
  const code = jetStreamCode(thrown);
  if (code === streamNotFound)
    return make('QUEUE_NOT_FOUND', 'there is no such stream; create it with mq_create_queue');
  if (code === notEnabled || code === notEnabledForAccount)
    return make('UNSUPPORTED', 'JetStream is not enabled on this server or account');
  if (code === messageTooLarge) return make('MESSAGE_TOO_LARGE', 'larger than the stream allows (max_message_bytes)');
  if (code === streamFull) return make(fallback, 'the stream is full', true);
  if (code === insufficientResources) return make(fallback, 'the server is short of storage', true);
  // The server's descriptions speak of its configuration, not of data.
  if (code !== undefined) return make(fallback, `JetStream refused it: ${messageOf(thrown)} (${code})`, code === 503);
  if (messageOf(thrown).includes('max_payload'))
    return make('MESSAGE_TOO_LARGE', 'larger than this NATS server takes, headers and all');
  switch (nameOf(thrown)) {
    case 'AuthorizationError':
    case 'UserAuthenticationExpiredError':
      return make('AUTHENTICATION_FAILED', "NATS refused the credentials of the broker's URL");
    case 'PermissionViolationError':
      return make('AUTHENTICATION_FAILED', "the user of the broker's URL may not use this subject");
    case 'TimeoutError':
      return make('MQ_TIMEOUT', 'NATS did not answer in time', true);
    case 'InvalidSubjectError':
    case 'InvalidNameError':
    case 'InvalidArgumentError':
      return make('INVALID_PARAMS', messageOf(thrown));
    default:
      if (isNoResponders(thrown)) return make('UNSUPPORTED', 'JetStream is not enabled on this server or account');
      return isConnectionLoss(thrown)
        ? make('CONNECTION_FAILED', 'no connection to NATS', true)
        : make(fallback, 'NATS refused it');
  }
}

/** Why there is no connection. @param doing names the server @param secure whether TLS was asked for */
export function connectError(thrown: unknown, doing: string, secure: boolean): StepError {
  if (thrown instanceof StepError) {
    if (thrown.code !== 'CONNECTION_FAILED') return thrown;
    return new StepError(thrown.code, `${doing}: ${thrown.message}`, { retryable: thrown.retryable, cause: thrown });
  }
  for (let inner = thrown, depth = 0; inner instanceof Error && depth < 4; inner = inner.cause, depth += 1) {
    const reason = reasonOf((inner as { code?: unknown }).code) ?? reasonOfClient(inner, secure);
    if (reason !== undefined)
      return new StepError('CONNECTION_FAILED', `${doing}: no connection to NATS: ${reason.why}`, {
        retryable: reason.retryable,
        cause: thrown,
      });
  }
  return natsError(thrown, 'CONNECTION_FAILED', doing);
}

/** What the client finds out by itself. */
function reasonOfClient(thrown: Error, secure: boolean): Reason | undefined {
  if (thrown.name === 'TimeoutError') return silence(secure);
  return thrown.message === "server does not support 'tls'" ? noTls() : undefined;
}

function isConnectionLoss(thrown: unknown): boolean {
  if (
    ['ClosedConnectionError', 'DrainingConnectionError', 'ConnectionError', 'RequestError', 'ProtocolError'].includes(
      nameOf(thrown),
    )
  )
    return true;
  // Of the socket or of TLS: those have texts as codes.
  return typeof (thrown as { code?: unknown } | undefined)?.code === 'string';
}
