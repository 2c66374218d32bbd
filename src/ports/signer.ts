/** A node's identity. The private key stays behind it. */
export interface Signer {
  /** SHA-256 of the raw public key, in hexadecimal. */
  readonly keyId: string;
  /** SPKI, PEM. */
  readonly publicKey: string;
  /** Ed25519 (RFC 8032) over the bytes: 64 bytes. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** Checks signatures off the event loop; keys are parsed once. */
export interface SignatureVerifier {
  verify(publicKey: string, data: Uint8Array, signature: Uint8Array): Promise<boolean>;
}
