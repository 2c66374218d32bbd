/** What OpenSSL says when the answer to its greeting is no TLS. Some systems say EPROTO, which may be anything of TLS. */
const noTls = /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/;

/** @param code of an error of a TLS socket */
export const speaksNoTls = (code: string): boolean => noTls.test(code);
