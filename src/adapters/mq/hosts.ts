import { StepError } from '../../lib/errors.ts';

export interface Server {
  host: string;
  port: number;
}

/**
 * The text of a URL with several hosts, as clusters of Kafka and NATS are written (`kafka://a:9092,b:9092`), in a form that URL parsers
 * read: the others go to the parameter `servers`. URLs of other brokers name one host.
 */
export function singleHostUrl(text: string): string {
  const match = /^((?:kafkas?|nats|tls):\/\/(?:[^/?#]*@)?)([^/?#@]*)([^?#]*)(\?[^#]*)?/i.exec(text);
  const [, head = '', hosts = '', path = '', query = ''] = match ?? [];
  const [first = '', ...others] = hosts.split(',');
  if (others.length === 0) return text;
  return `${head}${first}${path}${query === '' ? '?' : `${query}&`}servers=${encodeURIComponent(others.join(','))}`;
}

/** The servers that a URL names, those of `?servers=` too. @throws StepError INVALID_PARAMS */
export function serversOf(url: URL, defaultPort: number): Server[] {
  const texts = [url.host, ...url.searchParams.getAll('servers')].flatMap((one) => one.split(','));
  const servers = texts.filter((one) => one !== '').map((one) => serverOf(one, defaultPort));
  if (servers.length > 0) return servers;
  throw new StepError('INVALID_PARAMS', 'params.broker names no host');
}

function serverOf(text: string, defaultPort: number): Server {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? defaultPort);
  if (host !== undefined && port > 0 && port < 65_536) return { host, port };
  throw new StepError('INVALID_PARAMS', 'params.broker: a host in it is not of the form host:port');
}

/** User and password of a URL, decoded. @throws StepError INVALID_PARAMS */
export function credentialsOf({ username, password }: URL): { username: string; password: string } | undefined {
  if (username === '' && password === '') return undefined;
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    throw new StepError('INVALID_PARAMS', 'params.broker: its credentials are not percent-encoded UTF-8');
  }
}
