import type { MongoClient } from 'mongodb';
import { StepError } from '../../../lib/errors.ts';
import type { Target } from '../driver.ts';
import { AnnouncedHosts, type HostPort, parseHost } from './hosts.ts';
import { Codec } from './values.ts';

export interface Opened {
  client: MongoClient;
  database: string;
  codec: Codec;
  announced: AnnouncedHosts;
  /** Host and port, for errors. */
  server: string;
}

/** Params of the URL that steps may use. Others could read files, run commands of the driver's choice, or take another way out. */
const allowedParams = new Set(
  `appName authMechanism authSource connectTimeoutMS directConnection heartbeatFrequencyMS journal localThresholdMS loadBalanced
   maxStalenessSeconds readConcernLevel readPreference readPreferenceTags replicaSet retryReads retryWrites serverSelectionTimeoutMS
   socketTimeoutMS ssl tls tlsAllowInvalidCertificates tlsAllowInvalidHostnames tlsInsecure w wtimeoutMS wtimeout`
    .toLowerCase()
    .split(/\s+/),
);
const operatorParams = new Set(
  'tlsCAFile tlsCRLFile tlsCertificateKeyFile tlsCertificateKeyFilePassword srvMaxHosts srvServiceName'
    .toLowerCase()
    .split(' '),
);
/** Without calls to the cloud's metadata services, and without plugins. */
const mechanisms = new Set(['DEFAULT', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'MONGODB-X509', 'PLAIN']);

/** @throws StepError INVALID_PARAMS, EGRESS_DENIED, HOST_NOT_FOUND */
export async function openClient(target: Target): Promise<Opened> {
  const { url, egress, reach, options } = target;
  checkParams(target);
  const seeds = seedsOf(url);
  const database = databaseOf(url);
  // With mongodb+srv the names come from DNS: each is judged when it is connected to.
  const srv = url.protocol === 'mongodb+srv:';
  if (!srv) for (const seed of seeds) await egress.addresses({ scheme: 'mongodb', ...seed }, reach);
  const mongo = await import('mongodb');
  const client = new mongo.MongoClient(url.href, {
    lookup: egress.lookup({ scheme: 'mongodb', port: seeds[0]?.port ?? 27017 }, reach),
    maxPoolSize: options.pool_size,
    maxIdleTimeMS: 60_000,
    waitQueueTimeoutMS: options.acquire_timeout,
    ...(url.searchParams.has('serverSelectionTimeoutMS') ? {} : { serverSelectionTimeoutMS: 10_000 }),
    ...(url.searchParams.has('connectTimeoutMS') ? {} : { connectTimeoutMS: 10_000 }),
    bsonRegExp: true,
  });
  const announced = new AnnouncedHosts(egress, reach, 'mongodb', srv ? [] : seeds);
  // The driver reads the reply after its listeners: what they take out it never sees.
  client.on('serverHeartbeatSucceeded', ({ reply }) => announced.filter(reply));
  client.on('error', () => undefined);
  return { client, database, codec: new Codec(mongo), announced, server: url.host };
}

function seedsOf({ host, protocol }: URL): HostPort[] {
  const seeds = host.split(',').map((text) => parseHost(decodeURIComponent(text)));
  if (seeds.includes(undefined) || (protocol === 'mongodb+srv:' && seeds.length !== 1))
    throw new StepError('INVALID_PARAMS', 'params.connection must name a host, or several with commas between them');
  return seeds as HostPort[];
}

function databaseOf({ pathname }: URL): string {
  const name = decodeURIComponent(pathname.replace(/^\//, ''));
  if (/^[^\0/\\. "$*<>:|?]{1,63}$/.test(name)) return name;
  throw new StepError(
    'INVALID_PARAMS',
    'params.connection must name the database in its path, as in mongodb://host/shop',
  );
}

function checkParams({ url, reach }: Target): void {
  if (url.protocol === 'mongodb+srv:' && reach !== 'operator')
    throw new StepError(
      'EGRESS_DENIED',
      "params.connection: mongodb+srv:// is for the node's own steps; name the hosts",
    );
  for (const [name, value] of url.searchParams) {
    const lower = name.toLowerCase();
    if (operatorParams.has(lower)) {
      if (reach === 'operator') continue;
      throw new StepError(
        'EGRESS_DENIED',
        `params.connection: ${name} reads files of the node, which is for its own steps`,
      );
    }
    if (!allowedParams.has(lower))
      throw new StepError(
        'INVALID_PARAMS',
        `params.connection: the parameter ${/^\w{1,40}$/.test(name) ? name : 'with this name'} is not available; docs/adapters/database-mongodb.md lists what is`,
      );
    if (lower === 'authmechanism' && !mechanisms.has(value))
      throw new StepError(
        'INVALID_PARAMS',
        'params.connection: authMechanism must be SCRAM-SHA-256, SCRAM-SHA-1, PLAIN or MONGODB-X509',
      );
  }
}
