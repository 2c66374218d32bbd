import { canonicalize } from '../../lib/canonical.ts';
import { EvidenceError } from '../../lib/errors.ts';
import { sha256 } from '../../lib/hash.ts';
import { type Envelope, payloadType as inTotoType } from '../../protocol/receipt.ts';

const SIGNATURE_BYTES = 64;

/**
 * Pre-authentication encoding (DSSE v1): the bytes that are signed. Lengths stand before both parts, so that no other pair of type
 * and payload has the same encoding.
 */
export function pae(payloadType: string, payload: string): Uint8Array {
  const typeBytes = Buffer.byteLength(payloadType);
  return Buffer.from(`DSSEv1 ${typeBytes} ${payloadType} ${Buffer.byteLength(payload)} ${payload}`);
}

/**
 * @param payload canonical JSON of an in-toto statement
 * @param signature Ed25519 over `pae(payloadType, payload)`, 64 bytes
 */
export function toEnvelope(payload: string, keyId: string, signature: Uint8Array): Envelope {
  return {
    payload: Buffer.from(payload).toString('base64'),
    payloadType: inTotoType,
    signatures: [{ keyid: keyId, sig: Buffer.from(signature).toString('base64') }],
  };
}

/** Canonical JSON of an envelope: the data of its Merkle leaf. */
export const envelopeText = (envelope: Envelope): string => canonicalize(envelope);

/** SHA-256 of the canonical envelope, in hexadecimal: how a child's receipt names its parent's. */
export const envelopeDigest = (envelope: Envelope): string => sha256(envelopeText(envelope));

/** The statement's text as it was signed. @throws EvidenceError where the payload is not strict base64 of UTF-8 */
export function payloadText(envelope: Envelope): string {
  const text = Buffer.from(envelope.payload, 'base64').toString('utf8');
  // Both decoders skip over what they can't read: only a round trip shows that nothing was skipped.
  if (Buffer.from(text).toString('base64') !== envelope.payload)
    throw new EvidenceError('the payload is not base64 of UTF-8 text');
  return text;
}

/** The bytes that the envelope's signature covers. @throws EvidenceError where the payload is malformed */
export const signedBytes = (envelope: Envelope): Uint8Array => pae(envelope.payloadType, payloadText(envelope));

/** The one signature, 64 bytes. @throws EvidenceError where it is not strict base64 of that length */
export function signatureOf(envelope: Envelope): Uint8Array {
  const text = envelope.signatures[0]?.sig ?? '';
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== SIGNATURE_BYTES || bytes.toString('base64') !== text)
    throw new EvidenceError(`the signature is not base64 of ${SIGNATURE_BYTES} bytes`);
  return bytes;
}
