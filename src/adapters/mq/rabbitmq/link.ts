import { once } from 'node:events';
import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import { abortable } from '../../../kit/abortable.ts';
import { knownParameters } from '../../../kit/url.ts';
import { StepError } from '../../../lib/errors.ts';
import { hostOf, shownServer } from '../../../lib/net.ts';
import type { BrokerTarget } from '../broker.ts';
import { tlsOptions } from '../tls.ts';
import { within } from '../waiting.ts';
import { channelError, connectError } from './errors.ts';

const connectTimeoutMs = 10_000;
const heartbeatSeconds = 20;
const closeTimeoutMs = 2_000;
/** Channels for publishing that wait for the next step. */
const idleChannelsMax = 4;

/** One connection, opened when first needed and again after it was lost, and the channels on it. */
export class Link {
  readonly #target: BrokerTarget;
  readonly #purpose: string;
  #model: Promise<ChannelModel> | undefined;
  #idle: ConfirmChannel[] = [];
  /** Where it is open. */
  #open: ChannelModel | undefined;
  /** Once aborted nobody begins anything. */
  readonly #closing = new AbortController();
  /** Ends connecting, and what a farewell has left of the connection. */
  readonly #cut = new AbortController();
  /** Whether the broker takes no messages at present, because its memory or disk is nearly full. */
  blocked = false;
  /** Queues that were declared on the way, and when. */
  readonly declared = new Map<string, { at: number; done: Promise<void> }>();

  constructor(target: BrokerTarget, purpose: string) {
    this.#target = target;
    this.#purpose = purpose;
  }

  async channel(signal: AbortSignal): Promise<Channel> {
    const model = await this.#opened(signal);
    return this.#guarded(model.createChannel(), signal);
  }

  /** A channel in confirm mode. Give it back with `keep` if it is sound. */
  async confirmChannel(signal: AbortSignal): Promise<ConfirmChannel> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const model = await this.#opened(signal);
    return this.#guarded(model.createConfirmChannel(), signal);
  }

  keep(channel: ConfirmChannel): void {
    if (this.#idle.length < idleChannelsMax && !this.#closing.signal.aborted) this.#idle.push(channel);
    else channel.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closing.abort(closed());
    this.#idle = [];
    const open = this.#open;
    if (open !== undefined) {
      // A connection that is lost meanwhile never answers.
      const lost = once(open, 'close');
      await within(closeTimeoutMs, Promise.race([open.close(), lost]));
    }
    this.#cut.abort(closed());
  }

  async #opened(signal: AbortSignal): Promise<ChannelModel> {
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    this.#model ??= this.#connect();
    return abortable(this.#model, signal);
  }

  #connect(): Promise<ChannelModel> {
    const opening = connectTo(this.#target, this.#purpose, this.#cut.signal);
    const forget = (): void => {
      if (this.#model === opening) this.#model = undefined;
      this.#open = undefined;
      this.#idle = [];
      this.declared.clear();
      this.blocked = false;
    };
    opening.then((model) => {
      this.#open = model;
      // What happens to a connection reaches whoever uses it through the channels; unheard, it would end the process.
      model.on('error', forget);
      model.on('close', forget);
      model.on('blocked', () => {
        this.blocked = true;
      });
      model.on('unblocked', () => {
        this.blocked = false;
      });
    }, forget);
    return opening;
  }

  async #guarded<T extends Channel>(opening: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      const channel = await abortable(opening, signal, (late) => void late.close().catch(() => undefined));
      channel.on('error', () => undefined);
      channel.on('close', () => {
        this.#idle = this.#idle.filter((one) => one !== (channel as Channel));
      });
      return channel;
    } catch (thrown) {
      signal.throwIfAborted();
      throw channelError(thrown, 'opening a channel', 'CONNECTION_FAILED');
    }
  }
}

/** One operation on a channel of its own, which an error of it closes. @param code where the broker's answer says nothing better */
export async function onChannel<T>(
  link: Link,
  signal: AbortSignal,
  what: string,
  body: (channel: Channel) => Promise<T>,
  code = 'CONNECTION_FAILED',
): Promise<T> {
  const channel = await link.channel(signal);
  const closing = async (): Promise<T> => {
    const result = await body(channel);
    await channel.close();
    return result;
  };
  try {
    return await abortable(closing(), signal);
  } catch (thrown) {
    channel.close().catch(() => undefined);
    signal.throwIfAborted();
    throw channelError(thrown, what, code);
  }
}

const closed = (): StepError => new StepError('CONNECTION_FAILED', 'the connection to the broker has been closed');

async function connectTo(target: BrokerTarget, purpose: string, closing: AbortSignal): Promise<ChannelModel> {
  const { url, reach, egress } = target;
  const secure = /^(amqps|rabbitmqs):$/.test(url.protocol);
  const scheme = secure ? 'amqps' : 'amqp';
  const host = hostOf(url) || 'localhost';
  const port = url.port === '' ? (secure ? 5671 : 5672) : Number(url.port);
  knownParameters(url, ['heartbeat', 'cacert', 'cert', 'key', 'servername'], 'params.broker');
  const heartbeat = Number(url.searchParams.get('heartbeat') ?? heartbeatSeconds);
  if (!Number.isInteger(heartbeat) || heartbeat < 1 || heartbeat > 3_600)
    throw new StepError('INVALID_PARAMS', 'params.broker: heartbeat must be whole seconds from 1 to 3600');
  await abortable(egress.addresses({ scheme, host, port }, reach), closing);
  const tls = secure ? await tlsOptions(target) : {};
  const { connect } = await import('amqplib');
  const anonymous = url.username === '' && url.password === '';
  const vhost = url.pathname.replace(/^\//, '');
  try {
    return await connect(
      {
        protocol: scheme,
        hostname: host,
        port,
        ...(anonymous ? {} : { username: decoded(url.username), password: decoded(url.password) }),
        // amqplib decodes it.
        ...(vhost === '' ? {} : { vhost }),
        heartbeat,
      },
      {
        ...tls,
        // Resolved and checked anew for this very connection.
        ...{ lookup: egress.lookup({ scheme, port }, reach), signal: closing },
        timeout: connectTimeoutMs,
        noDelay: true,
        keepAlive: true,
        clientProperties: { connection_name: `jsonflow ${purpose}` },
      },
    );
  } catch (thrown) {
    closing.throwIfAborted();
    throw connectError(thrown, `the broker at ${scheme}://${shownServer({ host, port })}`);
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new StepError('INVALID_PARAMS', 'params.broker: user name and password must be percent-encoded');
  }
}
