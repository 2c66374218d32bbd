import type { LookupFunction } from 'node:net';

/** Where a connection is to go. */
export interface Destination {
  /** Protocol, as in the URL that the step names: `https`, `postgres`, `amqp`. */
  scheme: string;
  /** A name or a literal address, without brackets. */
  host: string;
  port: number;
}

export interface Address {
  address: string;
  family: 4 | 6;
}

/**
 * How far a step is trusted where the node's policy has no rule. `public` reaches public addresses alone: steps that name URLs, and
 * everything of a tenant. `operator` reaches private and loopback addresses too: databases and brokers of the node's own people.
 * Neither reaches link-local addresses, such as those that give a cloud's credentials away.
 */
export type Reach = 'public' | 'operator';

/**
 * The node's rules about whom its steps may talk to. Decided on the addresses that a name resolves to, at each connection, and only these
 * are connected to: a name that changes its mind between check and use gains nothing.
 */
export interface Egress {
  /**
   * The allowed addresses of a destination, at least one. Call it before every connection, literal addresses included.
   * @throws StepError EGRESS_DENIED; HOST_NOT_FOUND (retryable)
   */
  addresses(destination: Destination, reach: Reach): Promise<Address[]>;
  /**
   * For `net.connect` and drivers that pass its options on: resolves and checks anew for each connection. Sockets don't ask it
   * about literal addresses, so these must have gone through `addresses`.
   */
  lookup(to: { scheme: string; port: number }, reach: Reach): LookupFunction;
  /** For what is reached through the file system: SQLite files, Unix sockets. @param path absolute @throws StepError EGRESS_DENIED */
  checkPath(scheme: string, path: string, reach: Reach): void;
}
