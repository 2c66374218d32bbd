import { messageOf, StepError } from '../../../lib/errors.ts';
import { shownServer } from '../../../lib/net.ts';
import type { Server } from '../hosts.ts';
import { reasonOf } from '../reasons.ts';

interface KafkaFault {
  code?: unknown;
  apiId?: unknown;
  canRetry?: unknown;
  errors?: unknown;
  cause?: unknown;
}

/** What was thrown and all that it wraps, the innermost last; the client nests errors in lists and causes. */
function* faultsOf(thrown: unknown, depth = 0): Generator<KafkaFault | StepError> {
  if (typeof thrown !== 'object' || thrown === null || depth > 8) return;
  const fault = thrown as KafkaFault;
  yield fault;
  if (Array.isArray(fault.errors)) for (const one of fault.errors) yield* faultsOf(one, depth + 1);
  yield* faultsOf(fault.cause, depth + 1);
}

/** Names of the broker's errors in it, such as UNKNOWN_TOPIC_OR_PARTITION. */
export function brokerErrors(thrown: unknown): Set<string> {
  const ids = new Set<string>();
  for (const fault of faultsOf(thrown)) if ('apiId' in fault && typeof fault.apiId === 'string') ids.add(fault.apiId);
  return ids;
}

/** Whether asking again, with fresh metadata, may help. */
export function isTransient(thrown: unknown): boolean {
  let transient = false;
  for (const fault of faultsOf(thrown)) {
    if (fault instanceof StepError) return fault.retryable;
    if ('canRetry' in fault && fault.canRetry === false) return false;
    if ('canRetry' in fault && fault.canRetry === true) transient = true;
  }
  return transient;
}

const clientCodes = (thrown: unknown): Set<unknown> => {
  const codes = new Set<unknown>();
  for (const fault of faultsOf(thrown)) if ('code' in fault) codes.add(fault.code);
  return codes;
};

/** What the client threw while it connected, with the server and the reason where the network or TLS is to blame; else itself. */
export function connectError(thrown: unknown, server: Server): unknown {
  const codes = clientCodes(thrown);
  if (thrown instanceof StepError || codes.has('PLT_KFK_AUTHENTICATION') || brokerErrors(thrown).size > 0)
    return thrown;
  const reasons = [...codes].map(reasonOf).filter((one) => one !== undefined);
  const reason = reasons.find((one) => !one.retryable) ?? reasons[0];
  const late = codes.has('PLT_KFK_TIMEOUT')
    ? 'no answer in time'
    : 'the connection was closed, as servers do that expect TLS, or another protocol';
  if (reason === undefined && !codes.has('PLT_KFK_NETWORK') && !codes.has('PLT_KFK_TIMEOUT')) return thrown;
  return new StepError(
    'CONNECTION_FAILED',
    `no connection to Kafka at ${shownServer(server)}: ${reason?.why ?? late}`,
    {
      retryable: reason?.retryable ?? true,
      cause: thrown,
    },
  );
}

/** What the client threw, as a step's error. @param fallback code where the cause is none of those that have their own */
export function kafkaError(thrown: unknown, fallback: string, doing: string): StepError {
  for (const fault of faultsOf(thrown)) if (fault instanceof StepError) return fault;
  const ids = brokerErrors(thrown);
  const codes = clientCodes(thrown);
  const has = (...names: string[]) => names.some((name) => ids.has(name));
  const named = ids.size === 0 ? '' : ` (${[...ids].join(', ')})`;
  if (
    codes.has('PLT_KFK_AUTHENTICATION') ||
    has('SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE')
  )
    return new StepError('AUTHENTICATION_FAILED', `Kafka refused the credentials of the broker's URL${named}`, {
      cause: thrown,
    });
  if ([...ids].some((id) => id.endsWith('_AUTHORIZATION_FAILED')))
    return new StepError('AUTHENTICATION_FAILED', `the user of the broker's URL may not do this in Kafka${named}`, {
      cause: thrown,
    });
  if (has('MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'))
    return new StepError('MESSAGE_TOO_LARGE', `${doing}: larger than the topic allows (max.message.bytes)`, {
      cause: thrown,
    });
  if (has('UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID'))
    return new StepError(
      'QUEUE_NOT_FOUND',
      `${doing}: the topic or partition does not exist; create it with mq_create_queue`,
      { cause: thrown },
    );
  if (codes.has('PLT_KFK_TIMEOUT') && !codes.has('PLT_KFK_NETWORK'))
    return new StepError('MQ_TIMEOUT', `${doing}: Kafka did not answer in time`, { retryable: true, cause: thrown });
  if (codes.has('PLT_KFK_NETWORK') || codes.has('ECONNREFUSED') || codes.has('ECONNRESET'))
    return new StepError('CONNECTION_FAILED', `${doing}: no connection to Kafka`, { retryable: true, cause: thrown });
  // Messages of the client and of brokers may quote data: the broker's name for the error has to do.
  const why = ids.size > 0 ? named : codes.has('PLT_KFK_USER') ? `: ${messageOf(thrown)}` : '';
  return new StepError(fallback, `${doing}: Kafka refused it${why}`, { retryable: isTransient(thrown), cause: thrown });
}
