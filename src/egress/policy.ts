import ipaddr from 'ipaddr.js';
import type { Destination, Reach } from '../ports/egress.ts';
import { parseRule, plainAddress, type Rule } from './rule.ts';

/** What a node's operator writes down. Rules: `parseRule`. */
export interface EgressRules {
  /** What steps may reach beyond the default. */
  allow?: readonly string[];
  /** What they may never reach; wins over `allow`. */
  deny?: readonly string[];
  /** What is allowed without a rule: what the step's reach covers (`reach`, the default), or nothing (`none`). */
  default?: 'reach' | 'none';
}

/** Why something is out of bounds. */
export interface Refusal {
  /** In words. */
  why: string;
  /** What would open the way: a rule, one that names the address itself, or nothing as long as there is a rule against it. */
  remedy: 'rule' | 'address rule' | 'none';
}

/** `undefined`: allowed. */
type Verdict = Refusal | undefined;

export interface Policy {
  judge(destination: Destination, address: string, reach: Reach): Verdict;
  judgePath(scheme: string, path: string, reach: Reach): Verdict;
}

/** @throws JSONFlowError INVALID_CONFIG */
export function createPolicy({ allow = [], deny = [], default: byDefault = 'reach' }: EgressRules = {}): Policy {
  const allowed = allow.map(parseRule);
  const denied = deny.map(parseRule);
  const refusal = (why: string, remedy: Refusal['remedy']): Refusal => ({ why, remedy });
  const unnamed = refusal('no rule of this node allows it', 'rule');
  const ruledOut = ({ text }: Rule): Refusal => refusal(`the rule ${text} of this node denies it`, 'none');
  return {
    judge(destination, address, reach) {
      const against = denied.find((rule) => rule.matches(destination, address));
      if (against !== undefined) return ruledOut(against);
      const kind = kindOf(address);
      // Who owns a name decides what it resolves to: only a rule about the address itself opens the way to these.
      const sensitive = kind === 'link-local' || kind === 'special';
      if (allowed.some((rule) => (rule.byAddress || !sensitive) && rule.matches(destination, address)))
        return undefined;
      if (byDefault === 'none') return sensitive ? { ...unnamed, remedy: 'address rule' } : unnamed;
      if (kind === 'public' || (kind === 'private' && reach === 'operator')) return undefined;
      return refusal(
        `it is a ${kind === 'special' ? 'special-purpose' : kind} address`,
        sensitive ? 'address rule' : 'rule',
      );
    },
    judgePath(scheme, path, reach) {
      const rule = (rules: readonly Rule[]) => rules.find((one) => one.matchesPath(scheme, path));
      const against = rule(denied);
      if (against !== undefined) return ruledOut(against);
      if (rule(allowed) !== undefined) return undefined;
      if (byDefault === 'none') return unnamed;
      return reach === 'operator' ? undefined : refusal("it is on this node's file system", 'rule');
    },
  };
}

type Kind = 'public' | 'private' | 'link-local' | 'special';

/** What clouds answer with credentials at, though it looks like any other address: AWS, Google (IPv6), Azure. */
const metadata = new Set(['fd00:ec2::254', 'fd20:ce::254', '168.63.129.16']);
/** All that is given out for the Internet (RFC 4291): what lies beside it leads nowhere, or back into this machine. */
const globalUnicast = ipaddr.parseCIDR('2000::/3') as [ipaddr.IPv6, number];

/** What an address is, by the registries of special-purpose addresses (RFC 6890 and its updates). */
function kindOf(text: string): Kind {
  const address = plainAddress(text);
  if (metadata.has(address.toString())) return 'link-local';
  const range = address.range();
  if (address instanceof ipaddr.IPv6 && range === 'unicast' && (!address.match(globalUnicast) || isIsatap(address)))
    return 'special';
  switch (range) {
    case 'unicast':
      return 'public';
    case 'loopback':
    case 'private':
    case 'uniqueLocal':
      return 'private';
    case 'linkLocal':
      return 'link-local';
    // Shared address space (RFC 6598): carriers, and inner networks of clouds, one of which serves metadata there.
    default:
      return 'special';
  }
}

/** RFC 5214: the last 32 bits are an IPv4 address, which a host with such a tunnel sends to. */
const isIsatap = (address: ipaddr.IPv6): boolean => {
  const [, , , , a = 0, b] = address.parts;
  return (a & 0xfdff) === 0 && b === 0x5efe;
};
