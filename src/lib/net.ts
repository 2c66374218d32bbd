import { BlockList, isIP } from 'node:net';

/** A host for sockets and resolvers: URLs put IPv6 addresses in brackets. */
export const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

/** Host of a URL without brackets. */
export const hostOf = ({ hostname }: URL): string => withoutBrackets(hostname);

/** Host and port, as in a URL. @param host without brackets */
export const shownServer = ({ host, port }: { host: string; port: number }): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** What OpenSSL says when the answer to its greeting is no TLS. Some systems say EPROTO, which may be anything of TLS. */
const noTls = /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/;

/** @param code of an error of a TLS socket */
export const speaksNoTls = (code: string): boolean => noTls.test(code);

// BlockList also matches IPv4-mapped IPv6 addresses (::ffff:127.0.0.1) against its IPv4 rules.
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Whether traffic to this host stays on the machine: 127.0.0.0/8, ::1 (with or without brackets), IPv4-mapped forms of the
 * former, and the name `localhost`. The wildcards 0.0.0.0 and :: are not: a listener on them is open to everyone. Any other name
 * is not either, whatever it resolves to today.
 */
export function isLoopback(host: string): boolean {
  const bare = withoutBrackets(host);
  const family = isIP(bare);
  if (family === 0) return bare.toLowerCase() === 'localhost';
  return loopback.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}
