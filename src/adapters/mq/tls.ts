import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { StepError } from '../../lib/errors.ts';
import { withoutBrackets } from '../../lib/net.ts';
import type { BrokerTarget } from './broker.ts';

/** Options for `tls.connect`. Certificates are always verified, against the system's authorities or `?cacert=`. */
export interface TlsOptions {
  ca?: string;
  cert?: string;
  key?: string;
  servername?: string;
  minVersion: 'TLSv1.2';
}

const fileBytesMax = 1024 * 1024;

/**
 * What a broker's URL says about TLS: `?cacert=` the authority, `?cert=` and `?key=` the client's own, all absolute paths of PEM files
 * on the node, and for the node's operator alone; `?servername=` the name to verify instead of the host.
 * @throws StepError INVALID_PARAMS, EGRESS_DENIED
 */
export async function tlsOptions({ url, reach, egress }: BrokerTarget): Promise<TlsOptions> {
  const options: TlsOptions = { minVersion: 'TLSv1.2' };
  for (const [param, name] of [
    ['cacert', 'ca'],
    ['cert', 'cert'],
    ['key', 'key'],
  ] as const) {
    const path = url.searchParams.get(param);
    if (path === null) continue;
    if (reach !== 'operator')
      throw new StepError(
        'EGRESS_DENIED',
        `params.broker: ?${param} reads a file of the node, which is its operator's`,
      );
    if (!isAbsolute(path)) throw new StepError('INVALID_PARAMS', `params.broker: ?${param} must be an absolute path`);
    egress.checkPath('file', path, reach);
    options[name] = await pemOf(path, param);
  }
  const servername = url.searchParams.get('servername') ?? url.hostname;
  if (servername !== '' && isIP(withoutBrackets(servername)) === 0) options.servername = servername;
  return options;
}

async function pemOf(path: string, param: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= fileBytesMax && text.includes('-----BEGIN')) return text;
  } catch {
    throw new StepError('INVALID_PARAMS', `params.broker: the file of ?${param} can't be read`);
  }
  throw new StepError('INVALID_PARAMS', `params.broker: the file of ?${param} is not PEM`);
}
