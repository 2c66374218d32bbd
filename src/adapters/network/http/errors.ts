import { JSONFlowError, StepError } from '../../../lib/errors.ts';
import { isObject } from '../../../lib/json.ts';
import { speaksNoTls } from '../../../lib/net.ts';

const tlsCode =
  /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_|EPROTO$|ERR_OSSL_)/;
const unreadable = /^(HPE_|ERR_HTTP2_|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH_MISMATCH)/;
/** What a server says to end HTTP/2, and nothing is wrong with its answer. */
const http2Closed =
  /^ERR_HTTP2_(GOAWAY_SESSION|SESSION_ERROR|STREAM_ERROR|STREAM_CANCEL|PING_CANCEL|INVALID_SESSION|INVALID_STREAM)$/;

/**
 * What sockets, TLS and undici throw, as the step's error: our words and the code of the cause, never its text, which may quote what was sent.
 * @param where the origin, for the message
 */
export function networkError(thrown: unknown, where: string): unknown {
  // A body that can't be read from the blob store ends up here as well.
  if (thrown instanceof StepError || thrown instanceof JSONFlowError) return thrown;
  // Not all of undici's have a code.
  if (thrown instanceof Error && thrown.name === 'HTTPParserError') return unsound('HPE', where, thrown);
  const codes = codesOf(thrown);
  const [code] = codes;
  // Not an error of the network, but of what was to be sent, or a defect: it must not look like one.
  if (code === undefined || code === 'UND_ERR_INVALID_ARG' || !/^[A-Z0-9_]+$/.test(code)) return thrown;
  const tls = codes.find((one) => tlsCode.test(one));
  if (tls !== undefined) return tlsError(tls, where, thrown);
  if (code === 'UND_ERR_MAX_ORIGINS_REACHED')
    return failure('POOLS_EXHAUSTED', 'this node talks to too many hosts at once', true, thrown);
  if (unreadable.test(code) && !http2Closed.test(code)) return unsound(code, where, thrown);
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED')
    return failure('CONNECTION_FAILED', 'the connections of this node are being closed', true, thrown);
  // TLS 1.3 has let us in before the server looks at our certificate, and many servers just close then.
  const hint =
    where.startsWith('https:') && saidNothing(thrown)
      ? ': it was closed without a word, as servers do that ask for a client certificate (tls.cert, tls.key)'
      : '';
  return failure('CONNECTION_FAILED', `the connection to ${where} failed (${code})${hint}`, true, thrown);
}

const saidNothing = (thrown: unknown): boolean =>
  isObject(thrown) && isObject(thrown.socket) && thrown.socket.bytesRead === 0;

const unsound = (code: string, where: string, cause: unknown): StepError =>
  failure('RESPONSE_INVALID', `${where} did not answer with sound HTTP (${code})`, false, cause);

/** The error of a TLS handshake: the certificate, or what the peer thinks of ours. */
const tlsError = (code: string, where: string, cause: unknown): StepError =>
  failure(
    'TLS_FAILED',
    speaksNoTls(code)
      ? `what answers at ${where} speaks no TLS (${code}): the port is one for plain text (http:// or ws://), or for something else`
      : `no trusted TLS connection to ${where} (${code}); certificates are checked always: give tls.ca for an authority of your own, tls.cert and tls.key where the server asks for them${code === 'EPROTO' ? '; or the port speaks no TLS' : ''}`,
    false,
    cause,
  );

const failure = (code: string, message: string, retryable: boolean, cause: unknown): StepError =>
  new StepError(code, message, { retryable, cause });

/** Codes of an error, of what it holds (several addresses were tried), and of its causes. */
function codesOf(thrown: unknown, depth = 0): string[] {
  if (!isObject(thrown) || depth > 3) return [];
  const { code, errors, cause } = thrown as { code?: unknown; errors?: unknown; cause?: unknown };
  const inner = Array.isArray(errors) ? errors : [];
  return [
    ...(typeof code === 'string' ? [code] : []),
    ...inner.flatMap((one) => codesOf(one, depth + 1)),
    ...codesOf(cause, depth + 1),
  ];
}
