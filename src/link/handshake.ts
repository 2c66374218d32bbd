import { canonicalize } from '../lib/canonical.ts';

/**
 * What the two ends of a connection sign to prove who they are. Each signature covers both nonces, both identities and, over TLS,
 * the connection's exporter (RFC 9266), so that it can be neither replayed nor relayed over another connection.
 */
export interface HandshakeFacts {
  version: number;
  epoch: number;
  workerId: string;
  workerKey: string;
  workerNonce: string;
  coordinatorId: string;
  coordinatorKey: string;
  coordinatorNonce: string;
  channelBinding: Uint8Array | undefined;
}

export const nonceBytes = 32;

/** What either end signs: who both are, both nonces and the channel. Each end signs under a context of its own, so that neither can be told as the other. */
export function handshakeBytes(signer: 'coordinator' | 'worker', facts: HandshakeFacts): Uint8Array {
  const { channelBinding, ...named } = facts;
  const binding = channelBinding === undefined ? null : Buffer.from(channelBinding).toString('hex');
  return Buffer.from(canonicalize({ context: `jsonflow handshake v1: ${signer}`, ...named, channelBinding: binding }));
}
