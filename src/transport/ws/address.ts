import { JSONFlowError } from '../../lib/errors.ts';
import { isLoopback } from '../../lib/net.ts';
import type { Settings } from './options.ts';

/** Where to connect. */
export interface Address {
  /** Without user, password and query: safe to show. */
  url: string;
  secure: boolean;
  /** Without brackets. */
  host: string;
  port: number;
}

/**
 * Reads `ws://`, `wss://` or a bare `host:port`; the path defaults to that of the settings.
 * @throws JSONFlowError NODE_UNREACHABLE where the address makes no sense, INVALID_CONFIG where it is not encrypted and must be
 */
export function parseAddress(text: string, settings: Settings): Address {
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  const url = URL.parse(hasScheme ? text : `ws://${text}`);
  if (url === null || url.hostname === '') throw wrongAddress('the address of the node cannot be read');
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    throw wrongAddress(`nodes are not reached by ${url.protocol}//`);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw wrongAddress('the address of a node has neither user, password, query nor fragment');

  const secure = url.protocol === 'wss:';
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  if (!secure && !settings.insecure && !isLoopback(host))
    throw new JSONFlowError('INVALID_CONFIG', `${url.host} is another machine, and ws:// is not encrypted`, {
      hint: 'Use wss://, or allow it with --insecure on a network that you trust.',
    });
  const path = url.pathname === '/' ? settings.path : url.pathname;
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { url: `${url.protocol}//${url.host}${path}`, secure, host, port };
}

const wrongAddress = (message: string): JSONFlowError =>
  new JSONFlowError('NODE_UNREACHABLE', message, { hint: 'Write it as wss://host:port or ws://host:port.' });
