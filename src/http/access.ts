import { timingSafeEqual } from 'node:crypto';
import { sha256 } from '../lib/hash.ts';
import { hostOf, isLoopback } from '../lib/net.ts';
import { HttpProblem } from './problem.ts';

export interface AccessOptions {
  /** Bearer tokens that open the API. */
  tokens?: readonly string[];
  /** Demand a token from loopback clients too. Default false. */
  tokenOnLoopback?: boolean;
}

/** What access is decided by. */
export interface Caller {
  /** Address of the other end of the socket. */
  address: string;
  header(name: string): string | undefined;
}

const digest = (token: string): Buffer => Buffer.from(sha256(token), 'hex');

const hostnameOf = (host: string): string => {
  try {
    return hostOf(new URL(`http://${host}`));
  } catch {
    return '';
  }
};

const sameOrigin = (origin: string, host: string): boolean => {
  try {
    return new URL(origin).host === new URL(`http://${host}`).host;
  } catch {
    return false;
  }
};

/**
 * Decides who may use the API: the bearer of a token, or a process of the same machine.
 *
 * The second is the delicate one. A web page that the user has open can send requests to localhost as well, under its own
 * origin (cross-site request forgery) or under a name that it points at 127.0.0.1 (DNS rebinding); and a reverse proxy makes
 * every client look local. So a caller without a token must name this machine in `Host`, come from no other origin, and not
 * have been forwarded.
 */
export function accessControl(options: AccessOptions = {}): (caller: Caller) => void {
  const accepted = (options.tokens ?? []).filter((token) => token !== '').map(digest);

  const isAccepted = (token: string): boolean => {
    const presented = digest(token);
    let found = false;
    // Every token is compared, so that the time taken says nothing about which one was near.
    for (const one of accepted) found = timingSafeEqual(one, presented) || found;
    return found;
  };

  return (caller) => {
    const bearer = /^Bearer +([^\s]+)$/i.exec(caller.header('authorization') ?? '')?.[1];
    if (bearer !== undefined) {
      if (isAccepted(bearer)) return;
      throw new HttpProblem('UNAUTHORIZED', 'the token is not valid here', {
        hint: 'Send one of the API tokens that this server was started with.',
      });
    }
    const forwarded = caller.header('forwarded') ?? caller.header('x-forwarded-for');
    if (options.tokenOnLoopback === true || !isLoopback(caller.address) || forwarded !== undefined)
      throw new HttpProblem('UNAUTHORIZED', 'this caller is answered only with a token', {
        hint: 'Send "Authorization: Bearer <token>" with one of the API tokens that this server was started with.',
      });
    const host = caller.header('host') ?? '';
    if (!isLoopback(hostnameOf(host)))
      throw new HttpProblem('FORBIDDEN', 'the Host header names another machine', {
        hint: 'Use http://localhost or send a token.',
      });
    const origin = caller.header('origin');
    const site = caller.header('sec-fetch-site');
    if ((origin !== undefined && !sameOrigin(origin, host)) || site === 'cross-site')
      throw new HttpProblem('FORBIDDEN', 'web pages of another origin may not use this API without a token', {
        hint: 'Send "Authorization: Bearer <token>".',
      });
  };
}
