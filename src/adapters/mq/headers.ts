import { StepError } from '../../lib/errors.ts';
import { setOwn } from '../../lib/json.ts';

/** Names of the headers that this adapter writes and reads, in every broker. */
export const headerNames = {
  /** The message's id, where the protocol has no field of its own for it; consumers know a repetition by it. */
  messageId: 'x-jsonflow-message-id',
  contentType: 'content-type',
  /** How often the message was delivered before this copy of it was made: a retry, or a broker that doesn't count itself. */
  deliveredBefore: 'x-jsonflow-delivered-before',
  /** Why a message lies in a dead letter queue, in words. */
  reason: 'x-jsonflow-reason',
  /** Which queue it came from. */
  queue: 'x-jsonflow-queue',
  /** How often it had been delivered. */
  deliveries: 'x-jsonflow-deliveries',
  /** When it was put aside, ISO 8601. */
  time: 'x-jsonflow-time',
} as const;

const reasonLengthMax = 500;

/** Headers of a message in a dead letter queue: its own, and why it is there. */
export function deadLetterHeaders(
  own: Readonly<Record<string, string>>,
  about: { reason: string; queue: string; deliveries: number },
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(own))
    if (name !== headerNames.deliveredBefore) setOwn(headers, name, value);
  headers[headerNames.reason] = about.reason.slice(0, reasonLengthMax);
  headers[headerNames.queue] = about.queue;
  headers[headerNames.deliveries] = String(about.deliveries);
  headers[headerNames.time] = new Date().toISOString();
  return headers;
}

/**
 * Where messages go that are put aside: `dead_letter`, by default the queue's name with `.dead` behind it.
 * @throws StepError INVALID_PARAMS where they would come again and again
 */
export function deadLetterQueue(queue: string, deadLetter: unknown): string {
  if (deadLetter === queue)
    throw new StepError('INVALID_PARAMS', 'params.dead_letter is the queue itself: what is put aside would come again');
  return typeof deadLetter === 'string' ? deadLetter : `${queue}.dead`;
}
