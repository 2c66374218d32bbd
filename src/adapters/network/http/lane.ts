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
