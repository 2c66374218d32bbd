import { knownParameters } from '../../../kit/url.ts';
import { StepError } from '../../../lib/errors.ts';
import { credentialsOf, type Server, serversOf } from '../hosts.ts';

export interface KafkaTarget {
  /** Brokers to begin with, at least one; the others are learnt from them. */
  servers: Server[];
  tls: boolean;
  sasl?: { mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; username: string; password: string };
}

const defaultPort = 9092;
const mechanisms = new Map([
  ['plain', 'PLAIN'],
  ['scram-sha-256', 'SCRAM-SHA-256'],
  ['scram-sha-512', 'SCRAM-SHA-512'],
] as const);

/** @throws StepError INVALID_PARAMS */
export function kafkaTarget(url: URL): KafkaTarget {
  knownParameters(url, ['sasl', 'servers', 'cacert', 'cert', 'key', 'servername'], 'params.broker');
  const sasl = saslOf(url);
  return {
    servers: serversOf(url, defaultPort),
    tls: url.protocol === 'kafkas:',
    ...(sasl === undefined ? {} : { sasl }),
  };
}

function saslOf(url: URL): KafkaTarget['sasl'] {
  const name = url.searchParams.get('sasl');
  const credentials = credentialsOf(url);
  if (credentials === undefined) {
    if (name === null) return undefined;
    throw new StepError('INVALID_PARAMS', 'params.broker names a SASL mechanism, but no user');
  }
  for (const [known, mechanism] of mechanisms)
    if (known === (name ?? 'plain').toLowerCase()) return { mechanism, ...credentials };
  throw new StepError('INVALID_PARAMS', `params.broker: sasl must be ${[...mechanisms.keys()].join(', ')}`);
}
