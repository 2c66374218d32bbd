import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import { hostOf, shownServer } from '../../../lib/net.ts';
import type { Target } from '../driver.ts';
import { tlsOptions } from '../endpoint.ts';
import type { ConnectionKind } from '../pool.ts';
import { connectionError, replyError } from './errors.ts';
import type { Raw } from './replies.ts';

/** One connection, which one operation uses at a time: so it can be cut off without hurting others. */
export interface Link {
  send(args: readonly (string | Buffer)[]): Promise<Raw>;
  usable(): boolean;
  destroy(): void;
}

/** Connections to the server of a URL: `redis[s]://[[user][:password]@]host[:port][/database]`. @throws StepError INVALID_PARAMS */
export async function linkKind(target: Target): Promise<ConnectionKind<Link>> {
  const { url, egress, reach } = target;
  const { createClient, RESP_TYPES } = await import('redis');
  const scheme = url.protocol === 'rediss:' ? 'rediss' : 'redis';
  const tls = tlsOf(target);
  const host = hostOf(url);
  const port = url.port === '' ? 6379 : Number(url.port);
  const server = shownServer({ host, port });
  const database = databaseOf(url);
  const common = {
    host,
    port,
    // The address is checked again for each connection, and what was checked is connected to.
    lookup: egress.lookup({ scheme, port }, reach),
    // By the pool.
    connectTimeout: 0,
    reconnectStrategy: false,
  } as const;
  return {
    async open(signal) {
      await egress.addresses({ scheme, host, port }, reach);
      signal.throwIfAborted();
      // Ends connecting alone: the connection goes on when whoever opened it does not.
      const connecting = new AbortController();
      const socket = { ...common, signal: connecting.signal };
      const client = createClient({
        RESP: 2,
        socket:
          tls === undefined ? socket : { ...socket, ...tls, tls: true, ...(isIP(host) === 0 && { servername: host }) },
        ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
        ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
        database,
        disableOfflineQueue: true,
        disableClientInfo: true,
        maintNotifications: 'disabled',
        commandOptions: { timeout: 0 },
      });
      // Every failure reaches a caller, too; without a listener it would end the process.
      client.on('error', () => undefined);
      const abort = (): void => connecting.abort(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      try {
        await abortable(client.connect(), signal, () => client.destroy());
      } catch (thrown) {
        client.destroy();
        signal.throwIfAborted();
        throw isReply(thrown) ? replyError(thrown.message) : connectionError(thrown, server);
      } finally {
        signal.removeEventListener('abort', abort);
      }
      let destroyed = false;
      const { BLOB_STRING, SIMPLE_STRING, NUMBER } = RESP_TYPES;
      const typeMapping = { [BLOB_STRING]: Buffer, [SIMPLE_STRING]: Buffer, [NUMBER]: String };
      return {
        async send(args) {
          try {
            return (await client.sendCommand(args as (string | Buffer)[], { typeMapping })) as unknown as Raw;
          } catch (thrown) {
            throw isReply(thrown) ? new Refusal(thrown.message) : connectionError(thrown, server);
          }
        },
        usable: () => !destroyed && client.isReady,
        destroy() {
          destroyed = true;
          client.destroy();
        },
      };
    },
    async check(link) {
      await link.send(['PING']);
    },
    async end(link) {
      link.destroy();
    },
    destroy: (link) => link.destroy(),
    usable: (link) => link.usable(),
  };
}

/** An error reply to one command; the connection goes on. */
export class Refusal extends Error {}

// The client's classes would have to be imported with it.
const isReply = (thrown: unknown): thrown is Error =>
  thrown instanceof Error && ['ErrorReply', 'SimpleError', 'BlobError'].includes(thrown.constructor.name);

const tlsParams = new Set(['sslrootcert', 'sslcert', 'sslkey']);

/** `rediss` always checks the certificate; `sslrootcert`, `sslcert` and `sslkey` name files, as for SQL databases. */
function tlsOf(target: Target): ConnectionOptions | undefined {
  const secure = new URL(target.url);
  for (const name of secure.searchParams.keys())
    if (secure.protocol !== 'rediss:' || !tlsParams.has(name))
      throw new StepError(
        'INVALID_PARAMS',
        'params.connection: a Redis URL has no parameters but sslrootcert, sslcert and sslkey of rediss://',
      );
  if (secure.protocol !== 'rediss:') return undefined;
  secure.searchParams.set('sslmode', 'verify-full');
  return tlsOptions({ ...target, url: secure });
}

function databaseOf({ pathname }: URL): number {
  const text = pathname.replace(/^\//, '');
  if (text === '') return 0;
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new StepError(
    'INVALID_PARAMS',
    "params.connection: the path of a Redis URL is the database's number, such as /0",
  );
}

/** Runs `body`, and cuts the connection where the signal aborts: no command can be taken back, or waited for beyond the time. */
export async function cutAtSignal<T>(link: Link, signal: AbortSignal, body: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => {
    link.destroy();
    reject(signal.reason);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, body()]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
