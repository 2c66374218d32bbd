import { createHash } from 'node:crypto';
import type { createClient } from 'redis';
import { abortable } from '../../../kit/abortable.ts';
import { knownParameters } from '../../../kit/url.ts';
import { StepError } from '../../../lib/errors.ts';
import { hostOf, shownServer } from '../../../lib/net.ts';
import type { BrokerTarget } from '../broker.ts';
import { silence } from '../reasons.ts';
import { tlsOptions } from '../tls.ts';
import { redisError } from './errors.ts';

const connectTimeoutMs = 10_000;
/** A server that answers nothing for so long is taken for dead: half-open connections say nothing themselves. */
const pingIntervalMs = 15_000;
const socketTimeoutMs = 45_000;
const idleWaitersMax = 8;

type Client = ReturnType<typeof createClient>;
/** Texts come as bytes: bodies need not be UTF-8. */
export type Reply = Buffer | number | null | Reply[];
export type Argument = string | Buffer;

/** Connections to one server, opened when first needed and again after they were lost: one for commands, others to wait on. */
export class Link {
  readonly #target: BrokerTarget;
  #commands: Promise<Client> | undefined;
  readonly #waiters: Client[] = [];
  readonly #all = new Set<Client>();
  readonly #digests = new Map<string, string>();
  /** Ends connecting. */
  readonly #closing = new AbortController();

  constructor(target: BrokerTarget) {
    this.#target = target;
  }

  /** @throws what Redis answers, or StepError CONNECTION_FAILED */
  async command(args: readonly Argument[], signal: AbortSignal): Promise<Reply> {
    const client = await this.#opened(signal);
    return abortable(send(client, args), signal);
  }

  /** Runs a script; calls that are begun in order run in order. */
  async script(
    source: string,
    keys: readonly string[],
    args: readonly Argument[],
    signal: AbortSignal,
  ): Promise<Reply> {
    const client = await this.#opened(signal);
    const call = (name: string, script: string): Promise<Reply> =>
      abortable(send(client, [name, script, String(keys.length), ...keys, ...args]), signal);
    try {
      return await call('EVALSHA', this.#digestOf(source));
    } catch (thrown) {
      if (!(thrown instanceof Error && thrown.message.startsWith('NOSCRIPT'))) throw thrown;
      return call('EVAL', source);
    }
  }

  /** Resolves when the stream has an entry after the id, or after so many ms. */
  async waitFor(stream: string, after: string, ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const client = this.#waiters.pop() ?? (await this.#connect(signal));
    const reading = send(client, ['XREAD', 'COUNT', '1', 'BLOCK', String(Math.ceil(ms)), 'STREAMS', stream, after]);
    try {
      await abortable(reading, signal);
    } catch (thrown) {
      this.#drop(client);
      throw thrown;
    }
    if (this.#waiters.length < idleWaitersMax && client.isReady) this.#waiters.push(client);
    else this.#drop(client);
  }

  async close(): Promise<void> {
    for (const client of this.#all) this.#drop(client);
    this.#closing.abort(closed());
    await this.#commands?.catch(() => undefined);
  }

  /** Whether there is a connection that commands could take. */
  get isOpen(): boolean {
    return this.#all.size > 0;
  }

  async #opened(signal: AbortSignal): Promise<Client> {
    signal.throwIfAborted();
    this.#commands ??= this.#openCommands();
    return abortable(this.#commands, signal);
  }

  #openCommands(): Promise<Client> {
    const opening = this.#connect(this.#closing.signal);
    const forget = (): void => {
      if (this.#commands === opening) this.#commands = undefined;
    };
    opening.then((client) => {
      client.on('terminated', forget);
      client.on('end', forget);
    }, forget);
    return opening;
  }

  async #connect(signal: AbortSignal): Promise<Client> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    either.throwIfAborted();
    // The connection serves others after whoever opens it: their signal must not end it then.
    const connecting = new AbortController();
    const stop = (): void => connecting.abort(either.reason);
    either.addEventListener('abort', stop, { once: true });
    const late = setTimeout(() => connecting.abort(this.#silent()), connectTimeoutMs);
    try {
      return await this.#connectUntil(connecting.signal);
    } finally {
      clearTimeout(late);
      either.removeEventListener('abort', stop);
    }
  }

  async #connectUntil(signal: AbortSignal): Promise<Client> {
    const client = await newClient(this.#target, signal);
    signal.throwIfAborted();
    this.#all.add(client);
    client.on('terminated', () => this.#drop(client));
    try {
      // Destroying a client that connects leaves it the socket that comes: it has to be destroyed again.
      await abortable(client.connect(), signal, () => client.destroy());
    } catch (thrown) {
      this.#drop(client);
      signal.throwIfAborted();
      throw redisError(thrown, this.#shown(), 'CONNECTION_FAILED');
    }
    return client;
  }

  #shown(): string {
    return `Redis at ${shownServer(serverOf(this.#target.url))}`;
  }

  #silent(): StepError {
    const { why, retryable } = silence(this.#target.url.protocol === 'rediss:');
    return new StepError('CONNECTION_FAILED', `${this.#shown()}: no connection: ${why}`, { retryable });
  }

  #drop(client: Client): void {
    this.#all.delete(client);
    const at = this.#waiters.indexOf(client);
    if (at >= 0) this.#waiters.splice(at, 1);
    client.destroy();
  }

  #digestOf(source: string): string {
    const known = this.#digests.get(source);
    if (known !== undefined) return known;
    const digest = createHash('sha1').update(source).digest('hex');
    this.#digests.set(source, digest);
    return digest;
  }
}

const send = (client: Client, args: readonly Argument[]): Promise<Reply> => client.sendCommand([...args]);

const closed = (): StepError => new StepError('CONNECTION_FAILED', 'the connection to Redis has been closed');

const serverOf = (url: URL): { host: string; port: number } => ({
  host: hostOf(url) || 'localhost',
  port: url.port === '' ? 6379 : Number(url.port),
});

/** @param signal ends connecting */
async function newClient(target: BrokerTarget, signal: AbortSignal): Promise<Client> {
  const { url, reach, egress } = target;
  const secure = url.protocol === 'rediss:';
  const scheme = secure ? 'rediss' : 'redis';
  const { host, port } = serverOf(url);
  knownParameters(url, ['cacert', 'cert', 'key', 'servername'], 'params.broker');
  await abortable(egress.addresses({ scheme, host, port }, reach), signal);
  const tls = secure ? { tls: true as const, ...(await tlsOptions(target)) } : {};
  const { createClient, RESP_TYPES } = await import('redis');
  const database = Number(url.pathname.slice(1) || '0');
  if (!Number.isSafeInteger(database) || database < 0)
    throw new StepError('INVALID_PARAMS', 'params.broker: the path of a Redis URL is the number of a database');
  const client = createClient({
    RESP: 2,
    socket: {
      host,
      port,
      ...tls,
      // Resolved and checked anew for this very connection.
      ...{ lookup: egress.lookup({ scheme, port }, reach), signal },
      // By the link's own timer: this one does not run before TCP and TLS are there.
      connectTimeout: 0,
      socketTimeout: socketTimeoutMs,
      // A new connection is made where one is needed: an old one must not come back with half of what was sent.
      reconnectStrategy: false,
    },
    ...(url.username === '' ? {} : { username: decoded(url.username) }),
    ...(url.password === '' ? {} : { password: decoded(url.password) }),
    database,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    pingInterval: pingIntervalMs,
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  });
  // Whoever waits for a command gets its error; unheard, this one would end the process.
  client.on('error', () => undefined);
  return client as unknown as Client;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new StepError('INVALID_PARAMS', 'params.broker: user name and password must be percent-encoded');
  }
}
