import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { statusNames } from './schema.ts';

/** Where to call, as the step says it. */
export interface Target {
  host: string;
  port: number;
  secure: boolean;
  /** For messages, and the authority of HTTP/2. */
  authority: string;
  /** PEM texts and the name to verify. */
  tls: { cert?: string; key?: string; ca?: string; server_name?: string };
}

interface GrpcOptions {
  timeout: number;
  retry: {
    attempts: number;
    backoff?: 'exponential' | 'fixed';
    base_ms?: number;
    max_ms?: number;
    jitter?: boolean;
    statuses?: string[];
  };
  idempotent: boolean | undefined;
  max_bytes: number;
  max_total_bytes: number;
  max_messages: number;
  max_inline: number | undefined;
  defaults: boolean;
  proto_names: boolean;
}

/** The params of a step, read. */
export interface GrpcRequest {
  target: Target;
  service: string;
  method: string;
  /** Texts of .proto files by name; undefined: reflection. */
  protos: ReadonlyMap<string, string> | undefined;
  metadata: [string, string | Buffer][];
  options: GrpcOptions;
  /** Numbers of the statuses that are answers. */
  accepted: ReadonlySet<number>;
}

/** Name of the file that `params.proto` is. */
export const mainProto = 'params.proto';

const invalid = (problem: string): StepError => new StepError('INVALID_PARAMS', problem);

/** @throws StepError INVALID_PARAMS */
export function readRequest(params: JSONObject, idempotencyKey: string): GrpcRequest {
  const options = isObject(params.options) ? (params.options as Partial<GrpcOptions> & JSONObject) : {};
  const expect = isObject(params.expect) && Array.isArray(params.expect.status) ? params.expect.status : [];
  const { idempotency_key: named = false } = options as { idempotency_key?: boolean | string };
  const metadata = readMetadata(isObject(params.metadata) ? (params.metadata as JSONObject) : {});
  const keyName = named === true ? 'idempotency-key' : named;
  if (keyName !== false && !metadata.some(([name]) => name === keyName.toLowerCase()))
    metadata.push([checkedName(keyName), idempotencyKey]);
  return {
    target: readTarget(String(params.url), params.tls),
    ...readName(params),
    protos: readProtos(params),
    metadata,
    accepted: new Set([0, ...expect.map((name) => statusNames.indexOf(String(name)))]),
    options: {
      timeout: options.timeout ?? 30_000,
      retry: options.retry ?? { attempts: 0 },
      idempotent: options.idempotent,
      max_bytes: options.max_bytes ?? 16 * 1024 * 1024,
      max_total_bytes: options.max_total_bytes ?? 1024 ** 3,
      max_messages: options.max_messages ?? Number.POSITIVE_INFINITY,
      max_inline: options.max_inline,
      defaults: options.defaults ?? true,
      proto_names: options.proto_names ?? false,
    },
  };
}

const hostPattern = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?))(?::(\d{1,5}))?$/i;

/** @throws StepError INVALID_PARAMS, without the text: it may hold a password */
function readTarget(url: string, tls: JSONValue | undefined): Target {
  const [, scheme, rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/is.exec(url.trim()) ?? [];
  const kind = scheme?.toLowerCase();
  if (kind !== undefined && kind !== 'grpc' && kind !== 'grpcs')
    throw invalid(`params.url: ${kind}:// is no gRPC address; write grpc://host:port, grpcs://host:port or host:port`);
  const [, bracketed, plain, portText] = hostPattern.exec(rest.replace(/\/$/, '')) ?? [];
  const host = (bracketed ?? plain)?.toLowerCase();
  if (host === undefined)
    throw invalid(
      'params.url must be grpc://host:port, grpcs://host:port or host:port, without path, user and parameters; unix: and dns: are not supported',
    );
  const secure = kind === 'grpcs' || (kind === undefined && tls !== undefined && tls !== false);
  if (kind === 'grpc' && tls !== undefined && tls !== false)
    throw invalid('params.tls: grpc:// is plain text; write grpcs:// for TLS');
  if (kind === 'grpcs' && tls === false) throw invalid('params.tls: grpcs:// is TLS; write grpc:// for plain text');
  const port = portText === undefined && secure ? 443 : Number(portText);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid(`params.url needs a port from 1 to 65535, such as ${secure ? 'grpcs' : 'grpc'}://${host}:50051`);
  const parts: Target['tls'] = isObject(tls) ? tls : {};
  if ((parts.cert === undefined) !== (parts.key === undefined))
    throw invalid('params.tls: a client certificate needs both cert and key');
  return { host, port, secure, tls: parts, authority: `${bracketed === undefined ? host : `[${host}]`}:${port}` };
}

const namePattern = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;

function readName({ service, method }: JSONObject): { service: string; method: string } {
  const [, before, last = ''] = /^\/?(?:(.*)\/)?([^/]*)$/s.exec(String(method)) ?? [];
  if (before !== undefined && service !== undefined && service !== before)
    throw invalid('params.method names another service than params.service');
  const name = before ?? service;
  if (typeof name !== 'string')
    throw invalid('params.service is missing; or give params.method as package.Service/Method');
  if (!namePattern.test(name)) throw invalid('params.service must be a full name, such as shop.v1.Orders');
  if (!namePattern.test(last) || last.includes('.')) throw invalid('params.method must be the name of a method');
  return { service: name, method: last };
}

function readProtos({ proto, protos }: JSONObject): ReadonlyMap<string, string> | undefined {
  if (proto === undefined && protos === undefined) return undefined;
  const texts = new Map<string, string>();
  for (const [name, text] of Object.entries(isObject(protos) ? protos : {})) texts.set(name, String(text));
  if (proto !== undefined) texts.set(mainProto, String(proto));
  return texts;
}

/** Names that gRPC and HTTP/2 use themselves. */
const reservedName =
  /^(grpc-(?!trace-bin$|tags-bin$).*|content-type|te|user-agent|host|connection|transfer-encoding|:.*)$/;

function checkedName(name: string): string {
  const lower = name.toLowerCase();
  if (!/^[0-9a-z_.-]{1,128}$/.test(lower))
    throw invalid('params.metadata: a name may have letters, digits, "_", "-" and "." only');
  if (reservedName.test(lower)) throw invalid(`params.metadata: ${lower} is set by gRPC itself`);
  return lower;
}

function readMetadata(metadata: JSONObject): [string, string | Buffer][] {
  const pairs: [string, string | Buffer][] = [];
  for (const [key, value] of Object.entries(metadata)) {
    const name = checkedName(key);
    for (const one of Array.isArray(value) ? value : [value]) pairs.push([name, metadataValue(name, String(one))]);
  }
  return pairs;
}

/** Values are never shown: tokens are sent this way. */
function metadataValue(name: string, value: string): string | Buffer {
  if (name.endsWith('-bin')) {
    if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw invalid(`params.metadata.${name} must be base64`);
    return Buffer.from(value, 'base64');
  }
  if (!/^[ -~]*$/.test(value))
    throw invalid(`params.metadata.${name} may have printable ASCII characters only; send other bytes as ${name}-bin`);
  return value;
}
