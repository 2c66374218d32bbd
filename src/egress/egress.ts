import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { normalize } from 'node:path';
import { StepError } from '../lib/errors.ts';
import { shownServer, withoutBrackets } from '../lib/net.ts';
import type { Address, Destination, Egress, Reach } from '../ports/egress.ts';
import { createPolicy, type EgressRules, type Refusal } from './policy.ts';
import { parseRule } from './rule.ts';

/** All addresses of a name, as the operating system knows them. */
export type Resolve = (host: string) => Promise<Address[]>;

/** @throws JSONFlowError INVALID_CONFIG */
export function createEgress(rules: EgressRules = {}, resolve: Resolve = resolveBySystem): Egress {
  const policy = createPolicy(rules);
  const addresses = async (destination: Destination, reach: Reach): Promise<Address[]> => {
    const { scheme, host, port } = destination;
    const all = await resolve(host);
    if (all.length === 0) throw notFound(host);
    const allowed: Address[] = [];
    let refused: Refusal | undefined;
    for (const one of all) {
      const verdict = policy.judge(destination, one.address, reach);
      if (verdict === undefined) allowed.push(one);
      // A rule against one of the addresses is told before what could be allowed.
      else if (refused === undefined || verdict.remedy === 'none') refused = verdict;
    }
    if (allowed.length > 0) return allowed;
    // The address is not told: whoever wrote the workflow must not map an inner network by it.
    const server = shownServer({ host, port });
    throw denied(
      `${scheme}://${server}`,
      refused ?? { why: 'none of its addresses is allowed', remedy: 'rule' },
      ruleFor(host.replace(/\.$/, ''), server),
    );
  };
  return {
    addresses,
    lookup: ({ scheme, port }, reach) => socketLookup((host) => addresses({ scheme, host, port }, reach)),
    checkPath(scheme, path, reach) {
      // A rule for /data/* is not one for /data/../etc.
      const plain = normalize(path);
      const refused = policy.judgePath(scheme, plain, reach);
      if (refused !== undefined) throw denied(`${scheme}:${path}`, refused, `${scheme}:${plain}`);
    },
  };
}

function socketLookup(addressesOf: (host: string) => Promise<Address[]>): LookupFunction {
  return (host, options, done) => {
    addressesOf(host).then(
      (found) => {
        const family =
          options.family === 4 || options.family === 'IPv4'
            ? 4
            : options.family === 6 || options.family === 'IPv6'
              ? 6
              : 0;
        const usable = family === 0 ? found : found.filter((one) => one.family === family);
        const [first] = usable;
        if (first === undefined) return done(notFound(host), '', 0);
        if (options.all === true) return done(null, usable);
        return done(null, first.address, first.family);
      },
      (thrown: Error) => done(thrown, '', 0),
    );
  };
}

const resolveBySystem: Resolve = (host) => {
  const family = isIP(host);
  if (family === 4 || family === 6) return Promise.resolve([{ address: host, family }]);
  return new Promise((resolve, reject) => {
    // The resolver of the system also reads 127.1, 0x7f000001 and 2130706433: what it makes of them is what is judged.
    systemLookup(host, { all: true, order: 'verbatim' }, (error, found) => {
      if (error !== null) return reject(notFound(host, error));
      resolve(found.map(({ address, family: version }) => ({ address, family: version === 6 ? 6 : 4 })));
    });
  });
};

const notFound = (host: string, cause?: unknown): StepError =>
  new StepError('HOST_NOT_FOUND', `the host ${host} has no address`, { retryable: true, cause });

/** The rule that allows a server as it is named; undefined where its name is none that a rule may have, such as `127.1`. */
function ruleFor(host: string, server: string): string | undefined {
  const rule = server.replace(/\.(?=:\d+$)/, '');
  try {
    parseRule(rule);
  } catch {
    return undefined;
  }
  return isIP(host) === 0 && /^[\d.]+$/.test(host) ? undefined : rule;
}

/** @param rule that would allow it */
function denied(what: string, { why, remedy }: Refusal, rule: string | undefined): StepError {
  return new StepError('EGRESS_DENIED', `${what} is out of bounds for this step: ${why}. ${adviceFor(remedy, rule)}`);
}

function adviceFor(remedy: Refusal['remedy'], rule: string | undefined): string {
  if (remedy === 'none')
    return 'The operator of the node would have to take that rule away (egress deny, --egress-deny): it wins over what is allowed.';
  const isAddress = rule !== undefined && isIP(withoutBrackets(rule.replace(/:\d+$/, ''))) !== 0;
  if (rule === undefined || (remedy === 'address rule' && !isAddress))
    return 'The operator of the node can allow it, by a rule about the address itself (egress allow, --egress-allow ADDRESS:PORT).';
  return `The operator of the node can allow it: egress allow, --egress-allow '${rule}'.`;
}
