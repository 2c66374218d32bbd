import { dirname, resolve } from 'node:path';
import type { EngineConfig } from '../compose/distributed-engine.ts';
import { isObject, type JSONValue } from '../lib/json.ts';
import { closest } from '../lib/suggest.ts';
import type { Args } from './command.ts';
import { egressOf, tlsFilesOf, tokenOf, tokensOf } from './commands/shared.ts';
import { UsageError } from './exit.ts';
import { integerOf, listOf, numbersOf, pairsOf, readJSON, readText } from './input.ts';
import type { Terminal } from './terminal.ts';

type Kind = 'string' | 'number' | 'boolean' | 'strings' | 'numbers-by-name' | 'strings-by-name' | Fields;
type Fields = { readonly [name: string]: Kind };

/** The fields of a configuration file: those of EngineConfig that JSON can say; under `tls` stand paths. */
const fields: Fields = {
  nodeId: 'string',
  role: 'string',
  port: 'number',
  host: 'string',
  connect: 'string',
  dataDir: 'string',
  capabilities: {
    adapters: 'strings',
    resources: 'numbers-by-name',
    labels: 'strings-by-name',
    backends: 'strings',
    max_concurrent_steps: 'number',
    max_concurrent_workflows: 'number',
  },
  tls: { cert: 'string', key: 'string', ca: 'string' },
  insecure: 'boolean',
  token: 'string',
  apiTokens: 'strings',
  apiTokensOnLoopback: 'boolean',
  coordinatorKeyId: 'string',
  coordinator: 'numbers-by-name',
  egress: { allow: 'strings', deny: 'strings', default: 'string' },
  assets: 'strings',
  synchronous: 'string',
  localSteps: 'string',
};

const choices: Readonly<Record<string, readonly string[]>> = {
  role: ['coordinator', 'worker'],
  synchronous: ['full', 'normal'],
  localSteps: ['auto', 'always', 'never'],
};

const fits: Readonly<Record<Exclude<Kind, Fields>, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number' && value >= 0,
  boolean: (value) => typeof value === 'boolean',
  strings: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  'numbers-by-name': (value) => isObject(value) && Object.values(value).every((item) => typeof item === 'number'),
  'strings-by-name': (value) => isObject(value) && Object.values(value).every((item) => typeof item === 'string'),
};

/** Refuses what a configuration file must not say. @throws UsageError that names the field */
function checkConfig(value: JSONValue, file: string, known: Fields = fields, path = ''): void {
  if (!isObject(value))
    throw new UsageError(`${file}: ${path || 'the configuration'} must be an object`, 'Correct the file.');
  for (const [name, member] of Object.entries(value)) {
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    const full = `${path}${name}`;
    if (kind === undefined) {
      const near = closest(name, Object.keys(known));
      const hint =
        near === undefined ? `Known: ${Object.keys(known).join(', ')}.` : `Did you mean ${JSON.stringify(near)}?`;
      throw new UsageError(`${file}: unknown field ${JSON.stringify(full)}`, hint);
    }
    if (typeof kind === 'object') checkConfig(member as JSONValue, file, kind, `${full}.`);
    else if (!fits[kind](member))
      throw new UsageError(`${file}: ${full} has the wrong type`, `It must be: ${kind.replaceAll('-', ' ')}.`);
    const allowed = path === '' ? choices[name] : undefined;
    if (allowed !== undefined && !allowed.includes(String(member)))
      throw new UsageError(`${file}: ${full} can't be ${JSON.stringify(member)}`, `Use one of: ${allowed.join(', ')}.`);
  }
}

/** The configuration of a node: its file, overridden by flags and, for tokens, the environment. @throws UsageError */
export async function nodeConfigOf(args: Args, terminal: Terminal): Promise<EngineConfig> {
  const file = args.get('config');
  const fromFile = file === undefined ? {} : await readConfig(file, terminal);
  const merged: EngineConfig = { ...fromFile, ...(await flagsOf(args, terminal)) };
  if (merged.egress !== undefined) {
    // A flag adds to what the file denies: nobody must open a door by closing another.
    const deny = [...new Set([...(fromFile.egress?.deny ?? []), ...(merged.egress.deny ?? [])])];
    merged.egress = { ...fromFile.egress, ...merged.egress, ...(deny.length === 0 ? {} : { deny }) };
  }
  const capabilities = { ...fromFile.capabilities, ...capabilitiesOf(args) };
  if (Object.keys(capabilities).length > 0) merged.capabilities = capabilities;
  merged.role ??= merged.connect === undefined ? 'coordinator' : 'worker';
  if (merged.role === 'worker' && merged.connect === undefined)
    throw new UsageError('a worker needs a coordinator to connect to', 'Give --connect HOST:PORT.');
  if (merged.role === 'coordinator') {
    if (merged.connect !== undefined)
      throw new UsageError('a coordinator connects to nobody', 'Leave --connect out, or use --role worker.');
    merged.port ??= 8080;
  }
  return merged;
}

async function readConfig(file: string, terminal: Terminal): Promise<EngineConfig> {
  const value = await readJSON(file, terminal);
  checkConfig(value, file);
  // Checked field by field just now; only `tls` differs: it holds paths, beside the file that names them.
  const { tls, ...rest } = value as unknown as EngineConfig & { tls?: Record<string, string> };
  if (tls === undefined) return rest;
  const { cert, key, ca } = tls as Record<string, string>;
  const beside = (path: string): Promise<string> => readText(resolve(dirname(file), path), terminal);
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError(`${file}: tls.cert and tls.key belong together`, 'Give both.');
  return {
    ...rest,
    tls: {
      ...(cert === undefined ? {} : { cert: await beside(cert) }),
      ...(key === undefined ? {} : { key: await beside(key) }),
      ...(ca === undefined ? {} : { ca: await beside(ca) }),
    } as NonNullable<EngineConfig['tls']>,
  };
}

async function flagsOf(args: Args, terminal: Terminal): Promise<EngineConfig> {
  const config: EngineConfig = {};
  const text = (flag: string): string | undefined => args.get(flag);
  const port = text('port');
  if (port !== undefined) config.port = integerOf(port, '--port', 0, 65_535);
  const nodeId = text('node-id');
  if (nodeId !== undefined) config.nodeId = nodeId;
  const role = text('role');
  if (role !== undefined) config.role = role as 'coordinator' | 'worker';
  const host = text('host');
  if (host !== undefined) config.host = host;
  const connect = text('connect');
  if (connect !== undefined) config.connect = connect;
  const dataDir = text('data-dir');
  if (dataDir !== undefined) config.dataDir = dataDir;
  const synchronous = text('synchronous');
  if (synchronous !== undefined) config.synchronous = synchronous as 'full' | 'normal';
  const localSteps = text('local-steps');
  if (localSteps !== undefined) config.localSteps = localSteps as 'auto' | 'always' | 'never';
  const coordinatorKey = text('coordinator-key');
  if (coordinatorKey !== undefined) config.coordinatorKeyId = coordinatorKey;
  if (args.has('insecure')) config.insecure = true;
  const token = await tokenOf(text('token'), terminal.env.JSONFLOW_JOIN_TOKEN);
  if (token !== undefined) config.token = token;
  const apiTokens = await tokensOf(args.all('api-token'), terminal.env.JSONFLOW_API_TOKENS);
  if (apiTokens.length > 0) config.apiTokens = apiTokens;
  const egress = egressOf(args);
  if (egress !== undefined) config.egress = egress;
  const assets = args.all('assets');
  if (assets.length > 0) config.assets = [...assets];
  const tls = await tlsFilesOf(args);
  if (tls !== undefined) config.tls = tls as NonNullable<EngineConfig['tls']>;
  return config;
}

function capabilitiesOf(args: Args): NonNullable<EngineConfig['capabilities']> {
  const capabilities: NonNullable<EngineConfig['capabilities']> = {};
  const adapters = args.get('adapters');
  if (adapters !== undefined) capabilities.adapters = listOf(adapters);
  const resources = args.get('resources');
  if (resources !== undefined) capabilities.resources = numbersOf(resources, '--resources');
  const labels = args.get('labels');
  if (labels !== undefined) capabilities.labels = pairsOf(labels, '--labels');
  const backends = args.get('backends');
  if (backends !== undefined) capabilities.backends = listOf(backends);
  const slots = args.get('slots');
  if (slots !== undefined) capabilities.max_concurrent_steps = integerOf(slots, '--slots', 1, 100_000);
  return capabilities;
}
