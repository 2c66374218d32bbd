import { StepError } from '../../../lib/errors.ts';
import type { Egress, Reach } from '../../../ports/egress.ts';

export interface HostPort {
  host: string;
  port: number;
}

const hostsMax = 1_000;

/** `host`, `host:port`, `[v6]:port`; undefined for anything else, such as the path of a Unix socket. */
export function parseHost(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^[\]/:\s]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || host.endsWith('.sock')) return undefined;
  const port = match?.[3] === undefined ? 27017 : Number(match[3]);
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

const nameOf = ({ host, port }: HostPort): string => `${host.toLowerCase()}:${port}`;

/** What a server says about itself, as far as it makes a driver connect elsewhere. */
interface Announcement {
  hosts?: unknown;
  passives?: unknown;
  arbiters?: unknown;
  [name: string]: unknown;
}

/**
 * Decides about the servers that a server names. A literal address never reaches a socket's lookup, so what is announced is judged
 * before the driver sees it: until all hosts of a reply are judged, the reply looks like that of a member that is not ready.
 */
export class AnnouncedHosts {
  readonly #egress: Egress;
  readonly #reach: Reach;
  readonly #scheme: string;
  readonly #verdicts = new Map<string, 'checking' | 'allowed' | 'denied'>();
  #denial: StepError | undefined;

  constructor(egress: Egress, reach: Reach, scheme: string, seeds: readonly HostPort[]) {
    this.#egress = egress;
    this.#reach = reach;
    this.#scheme = scheme;
    for (const seed of seeds) this.#verdicts.set(nameOf(seed), 'allowed');
  }

  /** Why a host was refused, if one was: it says more than that no server was found. */
  get denial(): StepError | undefined {
    return this.#denial;
  }

  /** Changes the reply to one that names allowed hosts alone. */
  filter(reply: Announcement): void {
    const lists = ['hosts', 'passives', 'arbiters'].filter((name) => Array.isArray(reply[name]));
    const texts = lists.flatMap((name) => reply[name] as unknown[]);
    if (texts.map((text) => this.#judge(text)).includes('checking')) return hide(reply);
    for (const name of lists)
      reply[name] = (reply[name] as unknown[]).filter((text) => this.#judge(text) === 'allowed');
    if (texts.length > 0 && lists.every((name) => (reply[name] as unknown[]).length === 0)) hide(reply);
  }

  #judge(text: unknown): 'checking' | 'allowed' | 'denied' {
    const parsed = typeof text === 'string' ? parseHost(text) : undefined;
    if (parsed === undefined) return this.#deny('a Unix socket, or no host at all');
    const name = nameOf(parsed);
    const known = this.#verdicts.get(name);
    if (known !== undefined) return known;
    if (this.#verdicts.size >= hostsMax) return this.#deny(`more than ${hostsMax} hosts`);
    this.#verdicts.set(name, 'checking');
    this.#egress.addresses({ scheme: this.#scheme, ...parsed }, this.#reach).then(
      () => this.#verdicts.set(name, 'allowed'),
      (thrown) => {
        if (thrown instanceof StepError && !thrown.retryable) {
          this.#denial = thrown;
          this.#verdicts.set(name, 'denied');
        } else this.#verdicts.delete(name);
      },
    );
    return 'checking';
  }

  #deny(what: string): 'denied' {
    this.#denial ??= new StepError(
      'EGRESS_DENIED',
      `the MongoDB server names other members as ${what}, which is out of bounds`,
    );
    return 'denied';
  }
}

/** A member that is not ready: the driver asks again, and learns no hosts. */
function hide(reply: Announcement): void {
  for (const name of [
    'hosts',
    'passives',
    'arbiters',
    'setName',
    'isWritablePrimary',
    'ismaster',
    'secondary',
    'primary',
    'me',
    'msg',
  ])
    delete reply[name];
  reply.isreplicaset = true;
  reply.isWritablePrimary = false;
}
