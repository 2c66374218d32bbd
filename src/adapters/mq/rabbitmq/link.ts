import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import { abortable } from '../../../kit/abortable.ts';
import { hostOf, shownUrl } from '../../../kit/url.ts';
import { StepError } from '../../../lib/errors.ts';
import type { BrokerTarget } from '../broker.ts';
import { tlsOptions } from '../tls.ts';
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
  #closed = false;
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
    if (this.#idle.length < idleChannelsMax && !this.#closed) this.#idle.push(channel);
    else channel.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opening = this.#model;
    this.#model = undefined;
    this.#idle = [];
    const model = await opening?.catch(() => undefined);
    if (model === undefined) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      destroySocket(model);
      resolve();
    }, closeTimeoutMs);
    // A connection that is lost meanwhile never answers.
    model.once('close', resolve);
    await Promise.race([model.close().catch(() => undefined), late]);
    clearTimeout(timer);
  }

  async #opened(signal: AbortSignal): Promise<ChannelModel> {
    signal.throwIfAborted();
    if (this.#closed) throw new StepError('CONNECTION_FAILED', 'the connection to the broker has been closed');
    this.#model ??= this.#open();
    return abortable(this.#model, signal);
  }

  #open(): Promise<ChannelModel> {
    const opening = connectTo(this.#target, this.#purpose);
    const forget = (): void => {
      if (this.#model === opening) this.#model = undefined;
      this.#idle = [];
      this.declared.clear();
      this.blocked = false;
    };
    opening.then((model) => {
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

async function connectTo(target: BrokerTarget, purpose: string): Promise<ChannelModel> {
  const { url, reach, egress } = target;
  const secure = /^(amqps|rabbitmqs):$/.test(url.protocol);
  const scheme = secure ? 'amqps' : 'amqp';
  const host = hostOf(url) || 'localhost';
  const port = url.port === '' ? (secure ? 5671 : 5672) : Number(url.port);
  await egress.addresses({ scheme, host, port }, reach);
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
        heartbeat: Number(url.searchParams.get('heartbeat') ?? heartbeatSeconds),
      },
      {
        ...tls,
        // Resolved and checked anew for this very connection.
        ...{ lookup: egress.lookup({ scheme, port }, reach) },
        timeout: connectTimeoutMs,
        noDelay: true,
        keepAlive: true,
        clientProperties: { connection_name: `jsonflow ${purpose}` },
      },
    );
  } catch (thrown) {
    throw connectError(thrown, `the broker at ${shownUrl(new URL(`${scheme}://${url.host || host}`))}`);
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new StepError('INVALID_PARAMS', 'params.broker: user name and password must be percent-encoded');
  }
}

function destroySocket({ connection }: ChannelModel): void {
  const { stream } = connection as { stream?: { destroy?: () => void } };
  stream?.destroy?.();
}
