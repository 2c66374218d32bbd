import { createSecureContext } from 'node:tls';
import { StepError } from '../../../lib/errors.ts';

/** PEM texts. */
export interface Tls {
  cert: string | undefined;
  key: string | undefined;
  ca: string | undefined;
  serverName: string | undefined;
}

/** What makes connections different ones, besides their origin. */
export interface Lane {
  tls: Tls;
  http2: boolean;
  proxy: URL | undefined;
}

/** How long a connection may take to be there. The step's own time-out ends it sooner. */
export const connectTimeoutMs = 10_000;

/** For `tls.connect`. */
export const tlsOptions = ({ cert, key, ca, serverName }: Tls) => ({
  minVersion: 'TLSv1.2' as const,
  rejectUnauthorized: true,
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key }),
  ...(ca === undefined ? {} : { ca }),
  ...(serverName === undefined ? {} : { servername: serverName }),
});

/** @throws StepError INVALID_PARAMS where the PEM texts are none, or don't fit each other */
export function checkTls(tls: Tls): void {
  const { cert, key, ca } = tls;
  if (cert === undefined && ca === undefined) return;
  try {
    // Node takes any text as authorities, and then finds none in it.
    if (ca?.includes('-----BEGIN ') === false) throw new Error('no PEM');
    createSecureContext(tlsOptions({ cert, key, ca, serverName: undefined }));
  } catch {
    // OpenSSL's words say nothing that helps, and could quote.
    throw new StepError(
      'INVALID_PARAMS',
      'params.tls: cert, key and ca must be PEM texts, and the key that of the certificate',
    );
  }
}
