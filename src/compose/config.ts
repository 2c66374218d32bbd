import { hostname } from 'node:os';
import { join } from 'node:path';
import type { EgressRules } from '../egress/policy.ts';
import type { CoordinatorConfig } from '../engine/config.ts';
import { JSONFlowError } from '../lib/errors.ts';
import { isLoopback } from '../lib/net.ts';
import type { Vault } from '../ports/vault.ts';
import { namePattern } from '../protocol/workflow.ts';
import type { AdapterSource } from '../worker/registry.ts';

/** How a node is set up. Everything has a default: `new DistributedEngine({})` is an embedded coordinator. */
export interface EngineConfig {
  /** Default `coordinator`; for a worker a name made from its key. */
  nodeId?: string;
  /** Default `coordinator`, or `worker` where `connect` is given. */
  role?: 'coordinator' | 'worker';
  /** Port of a coordinator's HTTP API and node connections; 0 for any free one. Absent: it does not listen. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Worker: where its coordinator is, as `host:port`, `ws://…` or `wss://…`. */
  connect?: string;
  /** Where the node keeps its key, journal and blobs. `false`: in memory only. Default `.jsonflow/<node id>`. */
  dataDir?: string | false;
  capabilities?: {
    /** Built-in adapters to offer, by id. Default `['all']`. */
    adapters?: string[];
    /** What steps may reserve, such as `{ ram_mb: 8192, cpu_cores: 4 }`. Undeclared memory and cores are not limited. */
    resources?: Record<string, number>;
    labels?: Record<string, string>;
    /** Back ends that steps may ask for by name. */
    backends?: string[];
    /** Steps that run at once on this node. Default 64, on a coordinator 256. */
    max_concurrent_steps?: number;
    /** Runs that are worked on at once; more wait. Default 256. */
    max_concurrent_workflows?: number;
  };
  /** PEM. A coordinator serves TLS 1.3 with it, mutual where `ca` is given; a worker shows it, and trusts `ca`. */
  tls?: { cert?: string | Buffer; key?: string | Buffer; ca?: string | Buffer };
  /** Allows plain text beyond this machine. */
  insecure?: boolean;
  /** Join token: what a worker presents, what a coordinator demands. */
  token?: string;
  /** Bearer tokens of the HTTP API. Without any, only this machine may use it. */
  apiTokens?: string[];
  /** Demands a token from this machine too, as behind a reverse proxy, where every caller seems local. Default false. */
  apiTokensOnLoopback?: boolean;
  /** Worker: key id of the only coordinator to work for. */
  coordinatorKeyId?: string;
  /** Whether an acknowledged event has reached the disk (`full`, the default) or the operating system (`normal`). */
  synchronous?: 'full' | 'normal';
  /** Whether a coordinator runs steps itself: where no worker offers their type (`auto`, the default), `always`, or `never`. */
  localSteps?: 'auto' | 'always' | 'never';
  /** Default: environment, then the encrypted local store. */
  vault?: Vault;
  /** Whom the steps of this node may talk to. */
  egress?: EgressRules;
  /** Folders with files that steps may name, such as WebAssembly modules. Those that come with JSONFlow are found after these. */
  assets?: string[];
  /** Custom adapters. */
  adapters?: AdapterSource[];
  /** Finer settings of a coordinator, such as heartbeats and graces. */
  coordinator?: Partial<Omit<CoordinatorConfig, 'nodeId' | 'localSteps' | 'runsActiveMax'>>;
}

/** A configuration with its defaults filled in. */
export interface NodeSettings extends Omit<EngineConfig, 'nodeId'> {
  nodeId: string | undefined;
  role: 'coordinator' | 'worker';
  host: string;
  dataDir: string | false;
  slots: number;
}

const slotsDefault = { worker: 64, coordinator: 256 };

/** @throws JSONFlowError INVALID_CONFIG that names the field */
export function settingsOf(config: EngineConfig): NodeSettings {
  const role = config.role ?? (config.connect === undefined ? 'coordinator' : 'worker');
  if (role !== 'coordinator' && role !== 'worker') throw invalid('role', `can't be ${JSON.stringify(role)}`);
  const nodeId = config.nodeId ?? (role === 'coordinator' ? 'coordinator' : undefined);
  if (nodeId !== undefined && !new RegExp(namePattern).test(nodeId))
    throw invalid(
      'nodeId',
      'must be 1 to 128 letters, digits, ".", "_", ":", "@" or "-", beginning with a letter or digit',
    );
  if (role === 'worker' && config.connect === undefined) throw invalid('connect', 'must say where the coordinator is');
  if (role === 'coordinator' && config.connect !== undefined)
    throw invalid('connect', 'is for workers; a coordinator connects to nobody');
  const { port, host = '127.0.0.1' } = config;
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535))
    throw invalid('port', 'must be a whole number from 0 to 65535');
  const { tls } = config;
  if ((tls?.cert === undefined) !== (tls?.key === undefined)) throw invalid('tls', 'needs cert and key together');
  if (role === 'coordinator' && tls !== undefined && tls.cert === undefined)
    throw invalid('tls', 'has no cert and key: without them a coordinator would listen in plain text');
  if (role === 'coordinator' && port !== undefined) checkExposure(config, host);
  const slots = config.capabilities?.max_concurrent_steps ?? slotsDefault[role];
  if (!(Number.isInteger(slots) && slots > 0)) throw invalid('capabilities.max_concurrent_steps', 'must be 1 or more');
  const dataDir = config.dataDir ?? join('.jsonflow', nodeId ?? 'worker');
  return { ...config, role, nodeId, host, dataDir, slots };
}

/** Plain text, or an open door, to other machines must be asked for. */
function checkExposure(config: EngineConfig, host: string): void {
  if (isLoopback(host)) return;
  if (config.tls === undefined && config.insecure !== true)
    throw new JSONFlowError('INVALID_CONFIG', `listening on ${host} without TLS would send everything in plain text`, {
      hint: 'Give tls (--tls-cert and --tls-key), or allow it with insecure: true (--insecure).',
    });
  if (config.token === undefined && config.insecure !== true)
    throw new JSONFlowError(
      'INVALID_CONFIG',
      `listening on ${host} without a join token would let any machine become a worker`,
      {
        hint: 'Give token (--token), or allow it with insecure: true (--insecure).',
      },
    );
}

const invalid = (field: string, what: string): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', `${field} ${what}`, { hint: 'See docs/operations.md for the configuration.' });

/** A name for a worker that was given none: the machine, and enough of its key to tell it from others there. */
export const workerName = (keyId: string): string =>
  `worker-${(
    hostname()
      .toLowerCase()
      .replace(/[^a-z0-9-]/g, '') || 'node'
  ).slice(0, 40)}-${keyId.slice(0, 6)}`;
