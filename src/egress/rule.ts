import ipaddr from 'ipaddr.js';
import { JSONFlowError } from '../lib/errors.ts';
import type { Destination } from '../ports/egress.ts';

/** One line of a policy: `[scheme://]host[:port]`, or `scheme:/path`. */
export interface Rule {
  readonly text: string;
  /** Whether the rule speaks of this very address, rather than of a name. */
  readonly byAddress: boolean;
  matches(destination: Destination, address: string): boolean;
  matchesPath(scheme: string, path: string): boolean;
}

const portsMax = 65_535;

/**
 * Reads a rule. The host is a name, `*.name` for what is below a name, an address, a CIDR block, or `*`; the port a number or a range
 * `from-to`; a path may end in `*`.
 * @throws JSONFlowError INVALID_CONFIG
 */
export function parseRule(text: string): Rule {
  const path = /^([a-z][a-z0-9+.-]*):(\/(?!\/).*)$/i.exec(text);
  if (path !== null) return pathRule(text, path[1] ?? '', path[2] ?? '');
  const match =
    /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\[[^\]]+\](?:\/\d+)?|[^:/[\]\s]+(?:\/\d+)?)(?::(\d+)(?:-(\d+))?)?$/i.exec(text);
  const host = match?.[2];
  if (match === null || host === undefined) throw malformed(text);
  const scheme = match[1]?.toLowerCase();
  const from = match[3] === undefined ? 0 : Number(match[3]);
  const to = match[3] === undefined ? portsMax : Number(match[4] ?? match[3]);
  if (from > to || to > portsMax) throw malformed(text);
  const { byAddress, matches } = hostMatcher(text, host.replace(/^\[([^\]]+)\]/, '$1').toLowerCase());
  return {
    text,
    byAddress,
    matches: (destination, address) =>
      (scheme === undefined || scheme === destination.scheme) &&
      destination.port >= from &&
      destination.port <= to &&
      matches(destination.host.toLowerCase().replace(/\.$/, ''), address),
    matchesPath: () => false,
  };
}

function pathRule(text: string, scheme: string, pattern: string): Rule {
  const prefix = pattern.endsWith('*') ? pattern.slice(0, -1) : undefined;
  return {
    text,
    byAddress: false,
    matches: () => false,
    matchesPath: (given, path) =>
      given === scheme.toLowerCase() && (prefix === undefined ? path === pattern : path.startsWith(prefix)),
  };
}

interface HostMatcher {
  byAddress: boolean;
  matches(host: string, address: string): boolean;
}

function hostMatcher(text: string, host: string): HostMatcher {
  if (host === '*') return { byAddress: false, matches: () => true };
  if (host.includes('/')) {
    if (!ipaddr.isValidCIDR(host)) throw malformed(text);
    const [network, bits] = plainBlock(host);
    return {
      byAddress: true,
      matches: (_, address) =>
        formsOf(address).some((one) => one.kind() === network.kind() && one.match(network, bits)),
    };
  }
  if (ipaddr.isValid(host)) {
    // `ipaddr` reads 127.1 and 0x7f000001, too; a rule must say what it means.
    if (!ipaddr.IPv4.isValidFourPartDecimal(host) && !ipaddr.IPv6.isValid(host)) throw malformed(text);
    const wanted = plainAddress(host).toString();
    return { byAddress: true, matches: (_, address) => formsOf(address).some((one) => one.toString() === wanted) };
  }
  if (!/^(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(host)) throw malformed(text);
  if (host.startsWith('*.')) return { byAddress: false, matches: (name) => name.endsWith(host.slice(1)) };
  return { byAddress: false, matches: (name) => name === host };
}

/** RFC 6052: the last 32 bits are the IPv4 address that a gateway connects to. */
const nat64 = ipaddr.parseCIDR('64:ff9b::/96') as [ipaddr.IPv6, number];

const bareAddress = (address: string): ipaddr.IPv4 | ipaddr.IPv6 => ipaddr.parse(address.replace(/%.*$/, ''));

/** An address, IPv4 where it stands for one: `::ffff:127.0.0.1`, `64:ff9b::7f00:1`. */
export function plainAddress(address: string): ipaddr.IPv4 | ipaddr.IPv6 {
  const parsed = bareAddress(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed;
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address();
  return parsed.match(nat64) ? ipaddr.fromByteArray(parsed.toByteArray().slice(12)) : parsed;
}

/** As it is written, and what it stands for: a rule may speak of either. */
const formsOf = (address: string): (ipaddr.IPv4 | ipaddr.IPv6)[] => [bareAddress(address), plainAddress(address)];

/** A block, of IPv4 where it stands for one: `::ffff:10.0.0.0/104`. */
function plainBlock(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  const [network, bits] = ipaddr.parseCIDR(text);
  return network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress() && bits >= 96
    ? [network.toIPv4Address(), bits - 96]
    : [network, bits];
}

const malformed = (text: string): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', `egress: ${JSON.stringify(text)} is not a rule`, {
    hint: 'Write [scheme://]host[:port], such as "https://*.example.com", "10.0.0.0/8:5432" or "[fd00::]/8", or a path as "sqlite:/data/*".',
  });
