import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { Egress, Reach } from '../../ports/egress.ts';

/** The systems that the adapter speaks to. */
type System = 'rabbitmq' | 'kafka' | 'nats' | 'redis';

/** A message to publish, its body encoded. */
export interface OutgoingMessage {
  /** Derived from run, step and index, never from the attempt: brokers or consumers know a repetition by it. */
  id: string;
  body: Uint8Array;
  /** `application/json`, `text/plain; charset=utf-8` or `application/octet-stream`. */
  contentType: string;
  headers: Record<string, string>;
  /** Key of partitioning or ordering. */
  key?: string;
}

/** Where and how messages are published: `params` of `mq_publish` that are the broker's own matter, such as exchange and priority. */
export interface PublishRequest {
  params: JSONObject;
  messages: OutgoingMessage[];
  /** What the ids of all messages of the step begin with: `<step key>/<index>`. */
  idPrefix: string;
  /** Index of the first of these messages within the step: long lists are published in batches, one after the other. */
  firstIndex: number;
  /** To be called for what is confirmed while the rest is not: another try then leaves it out. */
  onConfirmed?(message: OutgoingMessage): void;
  /** False with `idempotency: "off"`: the broker is not asked to drop repetitions. */
  dedupe: boolean;
  signal: AbortSignal;
  timeoutMs: number;
}

/** A message as it came. */
export interface Delivery {
  /** The publisher's message id where it gave one, else a name of its place that no other message gets, not even in a queue that is deleted and made again. Never a delivery tag. */
  id: string;
  body: Uint8Array;
  contentType: string | undefined;
  headers: Record<string, string>;
  /** What else is known: exchange, routing key, partition, offset, timestamp. JSON. */
  properties: JSONObject;
  /** How often it was delivered before, as far as the broker counts; 0 the first time. */
  deliveriesBefore: number;
}

/** What `mq_consume` or a trigger asks for. */
export interface ConsumeRequest {
  params: JSONObject;
  /** At most so many messages. */
  max: number;
  /** How long to wait for the first message. Ms. */
  waitMs: number;
  signal: AbortSignal;
}

/** Deliveries that are held until they are settled. */
export interface Batch {
  readonly deliveries: readonly Delivery[];
  /** Acknowledges all of them; resolves when the broker has it. */
  ack(): Promise<void>;
  /** Gives all back for another delivery. */
  release(): Promise<void>;
  /** Puts one aside: dead letter queue, with the reason in its headers; its delivery is then settled. */
  reject(index: number, reason: string): Promise<void>;
  /** Hands one back to be delivered again after a delay, as far as the broker can. */
  retryLater(index: number, delayMs: number): Promise<void>;
}

/** For triggers: deliveries come one after the other, at most `prefetch` unsettled at once, and no more once so many bytes are. */
export interface Subscription {
  /** Resolves when no further delivery comes and the subscription has been released; rejects where it broke. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

export interface Incoming {
  delivery: Delivery;
  ack(): Promise<void>;
  retryLater(delayMs: number): Promise<void>;
  reject(reason: string): Promise<void>;
}

export interface SubscribeRequest {
  params: JSONObject;
  prefetch: number;
  onMessage(incoming: Incoming): void;
  signal: AbortSignal;
}

/** Connections to one broker. Throws StepError with a code of docs/adapters/mq.md. */
export interface Broker {
  readonly system: System;
  /** Resolves when the broker has confirmed all of them; output fields of the broker's own, such as partitions and offsets. */
  publish(request: PublishRequest): Promise<JSONObject>;
  consume(request: ConsumeRequest): Promise<Batch>;
  subscribe(request: SubscribeRequest): Promise<Subscription>;
  /** @returns `created`, and what there is now */
  createQueue(params: JSONObject, signal: AbortSignal): Promise<JSONObject>;
  /** @returns how many messages were deleted, null where the broker doesn't say */
  purge(params: JSONObject, signal: AbortSignal): Promise<number | null>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface BrokerTarget {
  /** Of `params.broker`; the credentials in it must not appear in any message. */
  url: URL;
  reach: Reach;
  egress: Egress;
}

/** @param closing ends the opening */
export type OpenBroker = (target: BrokerTarget, closing: AbortSignal) => Promise<Broker>;

/** A decoded body. */
export type Decoded = JSONValue;
