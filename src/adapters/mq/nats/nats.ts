import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type {
  Batch,
  Broker,
  BrokerTarget,
  ConsumeRequest,
  OpenBroker,
  PublishRequest,
  SubscribeRequest,
  Subscription,
} from '../broker.ts';
import { consumeBatch, replayBatch } from './consume.ts';
import { natsError } from './errors.ts';
import { isReplay } from './held.ts';
import { Link } from './link.ts';
import { publishMessages } from './publish.ts';
import { createStream, purgeStream } from './streams.ts';
import { subscribe } from './subscribe.ts';

/**
 * NATS 2.9 or later, with JetStream. `nats://[user:password@ or token@]host[:port]`, `tls://` for TLS; `?creds=`, `?nkey=`, `?jwt=` for other
 * ways to sign in.
 */
export const openNats: OpenBroker = async (target, closing) => {
  const broker = new NatsBroker(target);
  try {
    await abortable(broker.ping(), closing);
    return broker;
  } catch (thrown) {
    await broker.close();
    throw thrown;
  }
};

const pingMs = 15_000;

class NatsBroker implements Broker {
  readonly system = 'nats';
  readonly #link: Link;
  readonly #subscriptions = new Set<Subscription>();

  constructor(target: BrokerTarget) {
    this.#link = new Link(target);
  }

  async publish(request: PublishRequest): Promise<JSONObject> {
    const time = AbortSignal.timeout(request.timeoutMs);
    try {
      const signal = AbortSignal.any([request.signal, time]);
      return await publishMessages(await this.#link.session(signal), { ...request, signal });
    } catch (thrown) {
      request.signal.throwIfAborted();
      if (time.aborted)
        throw new StepError('MQ_TIMEOUT', `publishing took longer than ${request.timeoutMs} ms`, {
          retryable: true,
          cause: thrown,
        });
      throw natsError(thrown, 'PUBLISH_FAILED', 'publishing');
    }
  }

  async consume(request: ConsumeRequest): Promise<Batch> {
    const session = await this.#link.session(request.signal);
    return isReplay(request.params) ? replayBatch(session, request) : consumeBatch(session, request);
  }

  async subscribe(request: SubscribeRequest): Promise<Subscription> {
    const subscription = await subscribe(await this.#link.session(request.signal), request);
    this.#subscriptions.add(subscription);
    const forget = () => void this.#subscriptions.delete(subscription);
    subscription.ended.then(forget, forget);
    return subscription;
  }

  async createQueue(params: JSONObject, signal: AbortSignal): Promise<JSONObject> {
    return createStream(await this.#link.session(signal), params, signal);
  }

  async purge(params: JSONObject, signal: AbortSignal): Promise<number> {
    return purgeStream(await this.#link.session(signal), params, signal);
  }

  async ping(): Promise<void> {
    const signal = AbortSignal.timeout(pingMs);
    try {
      const { connection } = await this.#link.session(signal);
      await abortable(connection.flush(), signal);
    } catch (thrown) {
      if (signal.aborted)
        throw new StepError('CONNECTION_FAILED', `NATS did not answer within ${pingMs} ms`, {
          retryable: true,
          cause: thrown,
        });
      throw natsError(thrown, 'CONNECTION_FAILED', 'connecting to NATS');
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#subscriptions].map((one) => one.close()));
    await this.#link.close();
  }
}
