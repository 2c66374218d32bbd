import { StepError } from '../../../lib/errors.ts';

export interface Server {
  host: string;
  port: number;
}

export interface KafkaTarget {
  /** Brokers to begin with, at least one; the others are learnt from them. */
  servers: Server[];
  tls: boolean;
  sasl?: { mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; username: string; password: string };
}

const defaultPort = 9092;
const mechanisms = { plain: 'PLAIN', 'scram-sha-256': 'SCRAM-SHA-256', 'scram-sha-512': 'SCRAM-SHA-512' } as const;

/**
 * The text of a URL with several hosts, as Kafka writes them (`kafka://a:9092,b:9092`), in a form that URL parsers read: the others
 * go to the parameter `servers`.
 */
export function singleHostUrl(text: string): string {
  const match = /^([a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?)([^/?#@]*)([^?#]*)(\?[^#]*)?/i.exec(text);
  const [, head = '', hosts = '', path = '', query = ''] = match ?? [];
  const [first = '', ...others] = hosts.split(',');
  if (others.length === 0) return text;
  return `${head}${first}${path}${query === '' ? '?' : `${query}&`}servers=${encodeURIComponent(others.join(','))}`;
}

/** @throws StepError INVALID_PARAMS */
export function kafkaTarget(url: URL): KafkaTarget {
  const known = ['sasl', 'servers', 'cacert', 'cert', 'key', 'servername'];
  for (const name of url.searchParams.keys())
    if (!known.includes(name)) throw invalid(`its parameter ${name} is unknown; there are ${known.join(', ')}`);
  const hosts = [url.host, ...(url.searchParams.get('servers')?.split(',') ?? [])].flatMap((one) => one.split(','));
  const sasl = saslOf(url);
  return {
    servers: hosts.filter((one) => one !== '').map(serverOf),
    tls: url.protocol === 'kafkas:',
    ...(sasl === undefined ? {} : { sasl }),
  };
}

function serverOf(text: string): Server {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw invalid('a host in it is not of the form host:port');
  return { host, port: Number(match?.[3] ?? defaultPort) };
}

function saslOf(url: URL): KafkaTarget['sasl'] {
  const name = url.searchParams.get('sasl');
  if (url.username === '') {
    if (name !== null) throw invalid('it names a SASL mechanism, but no user');
    return undefined;
  }
  const mechanism = mechanisms[(name ?? 'plain').toLowerCase() as keyof typeof mechanisms];
  if (mechanism === undefined) throw invalid(`sasl must be ${Object.keys(mechanisms).join(', ')}`);
  try {
    return { mechanism, username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  } catch {
    throw invalid('its credentials are not percent-encoded UTF-8');
  }
}

const invalid = (why: string): StepError =>
  new StepError('INVALID_PARAMS', `broker: the Kafka URL can't be used: ${why}`);
