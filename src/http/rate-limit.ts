import { isIPv6 } from 'node:net';

export interface RateLimitOptions {
  /** Requests per second that a client may keep up. Default 500. */
  perSecond?: number;
  /** Requests at once after a rest. Default 2000. */
  burst?: number;
  /** Clients that are remembered. Default 10000. */
  clientsMax?: number;
}

/** An IPv6 client usually owns a whole /64: counting single addresses would count nothing. */
export const clientOf = (address: string): string => {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4).join(':');
};

/**
 * Token buckets by client.
 * @param now ms
 * @returns a function that takes one token and answers 0, or how many seconds to wait
 */
export function rateLimiter(options: RateLimitOptions = {}, now: () => number = Date.now): (client: string) => number {
  const { perSecond = 500, burst = 2000, clientsMax = 10_000 } = options;
  // Least recently seen first: a Map keeps the order of insertion.
  const buckets = new Map<string, { tokens: number; at: number }>();
  return (client) => {
    const time = now();
    const seen = buckets.get(client);
    const tokens = seen === undefined ? burst : Math.min(burst, seen.tokens + ((time - seen.at) * perSecond) / 1000);
    const left = tokens >= 1 ? tokens - 1 : tokens;
    buckets.delete(client);
    buckets.set(client, { tokens: left, at: time });
    if (buckets.size > clientsMax) {
      const oldest = buckets.keys().next();
      if (!oldest.done) buckets.delete(oldest.value);
    }
    return tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - tokens) / perSecond));
  };
}
