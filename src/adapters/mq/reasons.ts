import { speaksNoTls } from '../../lib/net.ts';

/** Why there is no connection, in words. */
export interface Reason {
  why: string;
  /** False for what stays as it is until somebody changes a setting. */
  retryable: boolean;
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'no way leads to that host',
  ENETUNREACH: 'no way leads to that network',
  ABORT_ERR: 'the node is closing',
};

/** @param code in brackets, where there is one */
export const noTls = (code = ''): Reason => ({
  why: `what answers there speaks no TLS${code}; is it a port for plain text, whose scheme has no TLS?`,
  retryable: false,
});

/** @param secure whether TLS was to begin: many a server of plain text waits for the end of a line that never comes */
export const silence = (secure: boolean): Reason => ({
  why: secure ? 'the greeting of TLS was not answered in time; may be the port speaks no TLS' : 'no answer in time',
  retryable: true,
});

const tlsCode = /^(EPROTO$|ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_)/;

/** @param code of a socket or of TLS */
export function reasonOf(code: unknown): Reason | undefined {
  if (typeof code !== 'string') return undefined;
  if (speaksNoTls(code)) return noTls(` (${code})`);
  // Also what a refusal of our certificate or versions becomes, where it arrives while we write.
  if (code === 'EPROTO') return { why: 'TLS failed (EPROTO); may be the port speaks no TLS', retryable: false };
  if (tlsCode.test(code)) return { why: `TLS: ${code}`, retryable: false };
  return code in words ? { why: `${words[code]} (${code})`, retryable: true } : undefined;
}
