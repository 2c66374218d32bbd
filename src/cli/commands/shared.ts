import { readFile } from 'node:fs/promises';
import type { EgressRules } from '../../compose/offline.ts';
import { type Client, createClient } from '../client.ts';
import type { Args, Option } from '../command.ts';
import { UsageError } from '../exit.ts';
import { listOf } from '../input.ts';
import type { Terminal } from '../terminal.ts';

const DEFAULT_COORDINATOR = 'http://localhost:8080';

/** Options of every command that talks to a coordinator. */
export const connectOptions: Readonly<Record<string, Option>> = {
  connect: { value: 'URL', short: 'c', help: `Coordinator. Default ${DEFAULT_COORDINATOR}, or JSONFLOW_CONNECT.` },
  token: { value: 'TOKEN', help: 'API token, or @FILE that holds it. Default JSONFLOW_TOKEN.' },
  insecure: { help: 'Send the token without TLS to another machine, on a network that you trust.' },
  'tls-ca': { value: 'FILE', help: 'Trust this certificate authority (PEM).' },
  'tls-cert': { value: 'FILE', help: 'Show this certificate (PEM), for mutual TLS.' },
  'tls-key': { value: 'FILE', help: 'Private key of the certificate (PEM).' },
};

/** Options of every command that runs steps itself. */
export const egressOptions: Readonly<Record<string, Option>> = {
  'egress-allow': {
    value: 'RULE',
    multiple: true,
    help: 'Let steps reach this: [scheme://]host[:port], an address, a CIDR block, or scheme:/path. Repeatable.',
  },
  'egress-deny': { value: 'RULE', multiple: true, help: 'Never let steps reach this. Wins. Repeatable.' },
  'egress-default': {
    value: 'WHAT',
    choices: ['reach', 'none'],
    help: 'What steps may reach without a rule: "reach" (the default) what their kind may, "none" nothing.',
  },
};

/** Option of every command that begins runs or repeats steps. */
export const assetsOption: Option = {
  value: 'DIR',
  multiple: true,
  help: 'Folder with files that steps may name, such as WebAssembly modules. Repeatable.',
};

/** What the `--egress-*` options say; undefined where there are none. */
export function egressOf(args: Args): EgressRules | undefined {
  const [allow, deny] = [args.all('egress-allow'), args.all('egress-deny')];
  const byDefault = args.get('egress-default');
  if (allow.length === 0 && deny.length === 0 && byDefault === undefined) return undefined;
  return {
    ...(allow.length === 0 ? {} : { allow }),
    ...(deny.length === 0 ? {} : { deny }),
    ...(byDefault === undefined ? {} : { default: byDefault as 'reach' | 'none' }),
  };
}

export const jsonOption: Option = { help: 'Print JSON alone on standard output.' };

/** A token that was given directly, as `@FILE`, or in the environment. A file keeps it out of the process list. */
export async function tokenOf(given: string | undefined, fallback: string | undefined): Promise<string | undefined> {
  const text = given ?? fallback;
  if (text === undefined || text === '') return undefined;
  return text.startsWith('@') ? (await readFile(text.slice(1), 'utf8')).trim() : text;
}

/** Tokens of `--api-token`, else of the environment, separated by commas; each may be `@FILE`. @throws UsageError where one is empty */
export async function tokensOf(given: readonly string[], fallback = ''): Promise<string[]> {
  const tokens = await Promise.all((given.length > 0 ? given : listOf(fallback)).map((one) => tokenOf(one, undefined)));
  return tokens.map((token) => {
    if (token === undefined || token === '') throw new UsageError('an API token is empty', 'Look into its file.');
    return token;
  });
}

/** PEM texts of the `--tls-*` options. @throws UsageError where one half of a pair is missing */
export async function tlsFilesOf(args: Args): Promise<{ ca?: string; cert?: string; key?: string } | undefined> {
  const read = async (name: string): Promise<string | undefined> => {
    const path = args.get(name);
    return path === undefined ? undefined : readFile(path, 'utf8');
  };
  const [ca, cert, key] = await Promise.all([read('tls-ca'), read('tls-cert'), read('tls-key')]);
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError('--tls-cert and --tls-key belong together', 'Give both.');
  if (ca === undefined && cert === undefined) return undefined;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

/** The coordinator that the options name. */
export async function clientOf(args: Args, terminal: Terminal): Promise<Client> {
  const token = await tokenOf(args.get('token'), terminal.env.JSONFLOW_TOKEN);
  const tls = await tlsFilesOf(args);
  return createClient({
    url: args.get('connect') ?? terminal.env.JSONFLOW_CONNECT ?? DEFAULT_COORDINATOR,
    ...(token === undefined ? {} : { token, insecure: args.has('insecure') }),
    ...(tls === undefined ? {} : { tls }),
  });
}

/** A value as the JSON that scripts read. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
