import { X509Certificate } from 'node:crypto';
import { JSONFlowError } from '../../lib/errors.ts';
import { speaksNoTls } from '../../lib/net.ts';
import type { Address } from './address.ts';
import type { Settings, TlsFiles } from './options.ts';
import { probeTls } from './probe-tls.ts';

interface Explanation {
  message: string;
  hint: string;
  retriable?: boolean;
}

const unreachable = ({ message, hint, retriable = false }: Explanation, cause?: unknown): JSONFlowError =>
  new JSONFlowError('NODE_UNREACHABLE', message, { hint, retriable, cause });

const unknownIssuer = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
]);

/**
 * Turns a failure to connect into what a person can act on. Some failures look alike from here (a listener that wants TLS, or
 * another certificate, just hangs up), so this may open one more connection to tell them apart.
 *
 * @param secured whether the TLS handshake had ended on this side
 * @returns NODE_UNREACHABLE; retriable unless the address, the protocol or a certificate is wrong
 */
export async function explainFailure(
  error: NodeJS.ErrnoException,
  address: Address,
  settings: Settings,
  secured: boolean,
): Promise<JSONFlowError> {
  const code = error.code ?? '';
  const hungUp = code === 'ECONNRESET' || code === 'EPIPE' || code.startsWith('HPE_');
  const explanation =
    ofPeerCertificate(code, address.url) ??
    ofOwnCertificate(code, address.url) ??
    ofTls(error, address.url) ??
    (hungUp && secured ? await ofHangUp(address, settings) : undefined) ??
    (hungUp && !address.secure ? await ofPlainHangUp(address) : undefined) ??
    ofNetwork(code, error, address);
  return unreachable(explanation, error);
}

/** The listener answered, but with HTTP. */
export function explainStatus(status: number, { url }: Address): JSONFlowError {
  if (status === 503)
    return unreachable({
      message: `${url} has too many nodes that are still joining`,
      hint: 'Try again in a few seconds.',
      retriable: true,
    });
  if (status >= 500 || status === 429)
    return unreachable({ message: `${url} answered ${status}`, hint: 'Try again later.', retriable: true });
  return unreachable({
    message: `${url} answered ${status}: nodes cannot connect there`,
    hint: 'Check host, port and path; the path is /ws unless the node was told otherwise.',
  });
}

function ofPeerCertificate(code: string, url: string): Explanation | undefined {
  if (code === 'CERT_HAS_EXPIRED')
    return { message: `the certificate of ${url} has expired`, hint: 'Renew it, and check the clock of this machine.' };
  if (code === 'CERT_NOT_YET_VALID')
    return { message: `the certificate of ${url} is not valid yet`, hint: 'Check the clocks of both machines.' };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return {
      message: `the certificate of ${url} was issued for other names`,
      hint: 'Connect by a name or address that the certificate holds, or issue one that holds this.',
    };
  if (unknownIssuer.has(code))
    return {
      message: `the certificate of ${url} was signed by an unknown CA`,
      hint: 'Give the certificate of the CA that signed it (--tls-ca).',
    };
  if (code.startsWith('CERT_') || code.startsWith('UNABLE_TO_'))
    return { message: `the certificate of ${url} is not valid (${code})`, hint: 'Issue a new one for that node.' };
  return undefined;
}

const certificateMissing = (url: string): Explanation => ({
  message: `${url} requires a client certificate, and this node has none`,
  hint: 'Give this node a certificate and its key (--tls-cert, --tls-key).',
});

function ofOwnCertificate(code: string, url: string): Explanation | undefined {
  if (code === 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED') return certificateMissing(url);
  if (/ALERT_.*(CERTIFICATE|UNKNOWN_CA)/.test(code))
    return {
      message: `${url} does not accept the certificate of this node (${code})`,
      hint: 'Use one that is valid now and signed by the CA that the listener trusts.',
    };
  return undefined;
}

function ofTls({ code = '', message }: NodeJS.ErrnoException, url: string): Explanation | undefined {
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(code) || message.includes('alert protocol version'))
    return { message: `${url} does not speak TLS 1.3`, hint: 'Nodes need TLS 1.3; check what is at this address.' };
  if (code === 'EPROTO' || speaksNoTls(code))
    return {
      message: `what listens at ${url} does not speak TLS`,
      hint: 'Use ws:// if it is a node without TLS, or give that node a certificate.',
    };
  return undefined;
}

/** A listener that refuses a certificate does so at once; one that waits longer is content with it. */
const hangUpMs = 500;

/** After the handshake: the one thing that a node does then is to look at the certificate of its peer. */
async function ofHangUp(address: Address, { tls = {} }: Settings): Promise<Explanation | undefined> {
  const { outcome, code } = await probeTls(address, tls, hangUpMs);
  const required = ofOwnCertificate(code, address.url);
  if (required !== undefined || outcome !== 'hung up') return required;
  if (tls.cert === undefined) return certificateMissing(address.url);
  const what = `${address.url} does not accept the certificate of this node`;
  if (isExpired(tls))
    return { message: `${what}: it has expired`, hint: 'Renew the certificate of this node (--tls-cert).' };
  return {
    message: `${what}: it was probably signed by an unknown CA`,
    hint: 'Use a certificate that is signed by the CA that the listener trusts (--tls-cert).',
  };
}

async function ofPlainHangUp(address: Address): Promise<Explanation | undefined> {
  // The certificate does not matter: nothing is sent.
  const { outcome } = await probeTls(address, { rejectUnauthorized: false }, 0);
  if (outcome === 'no TLS') return undefined;
  return { message: `what listens at ${address.url} wants TLS`, hint: 'Use wss:// instead of ws://.' };
}

function isExpired({ cert }: TlsFiles): boolean {
  if (cert === undefined) return false;
  return new X509Certificate(cert).validToDate.getTime() < Date.now();
}

function ofNetwork(code: string, error: Error, { url, host }: Address): Explanation {
  if (code === 'ECONNREFUSED')
    return { message: `nothing listens at ${url}`, hint: 'Start the node there, or check the port.', retriable: true };
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return { message: `the name ${host} cannot be resolved`, hint: 'Check the name and the network.', retriable: true };
  if (code.startsWith('HPE_') || code === '')
    return { message: `what listens at ${url} is not a node: ${error.message}`, hint: 'Check host and port.' };
  return { message: `${url} cannot be reached (${code})`, hint: 'Check network and firewall.', retriable: true };
}
