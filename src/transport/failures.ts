import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { limits } from '../protocol/limits.ts';

/** Why connections end, the same words whatever the driver. */
export const failures = {
  lost: (peer: string, cause?: unknown): JSONFlowError =>
    new JSONFlowError('NODE_LOST', `the connection to ${peer} broke`, {
      hint: 'Check that the peer still runs; then connect again.',
      retriable: true,
      cause,
    }),
  overloaded: (peer: string): JSONFlowError =>
    new JSONFlowError('OVERLOADED', `${peer} reads too slowly: too much is queued for it`, {
      hint: 'Await drained() before sending much; check the load of the peer.',
      retriable: true,
    }),
  tooLarge: (sizeBytes: number): JSONFlowError =>
    new JSONFlowError(
      'LIMIT_EXCEEDED',
      `a message of ${sizeBytes} bytes is above the limit of ${limits.frameBytesMax}`,
      {
        hint: 'Send large values as blobs, in pieces.',
      },
    ),
  receiver: (thrown: unknown): JSONFlowError =>
    new JSONFlowError('INTERNAL', `the receiver of a connection failed: ${messageOf(thrown)}`, {
      hint: 'Please report this.',
      cause: thrown,
    }),
};
