import { BlockList, isIP } from 'node:net';

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
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const family = isIP(bare);
  if (family === 0) return bare.toLowerCase() === 'localhost';
  return loopback.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}
