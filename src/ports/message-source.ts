import type { JSONObject, JSONValue } from '../lib/json.ts';

/** A message that a trigger received. */
export interface SourceMessage {
  /** The decoded body. */
  message: JSONValue;
  /** What is known of it beside its body; `id` is the same each time it is delivered. */
  delivery: JSONObject & { id: string };
}

/** What becomes of a message. `ack`: it is taken over. `reject`: nobody can do anything with it. `release`: not now, and not here. */
export type Disposition = 'ack' | { reject: string } | 'release';

/** @param gone aborted when the message can't be settled any more, as its connection is lost: it will be delivered again */
export type Deliver = (incoming: SourceMessage, gone: AbortSignal) => Promise<Disposition>;

export type SourceState = { kind: 'connected' } | { kind: 'disconnected'; why: string };

export interface SourceConfig {
  /** As of the step type that consumes one batch, such as `mq_consume`. */
  params: JSONObject;
  tenantId: string | null;
  /** Messages that may be with `deliver` at once; the broker is asked for no more. */
  prefetch: number;
  onState(state: SourceState): void;
}

/** Where the messages of a kind of trigger come from. */
export interface MessageSource {
  /**
   * Delivers messages until the signal aborts, then resolves. Connects again for as long as it takes. A message that was not
   * acknowledged is delivered again, by this process or a later one. `deliver` may take as long as it likes: a message that waits counts
   * against `prefetch`, and how often it was delivered is no reason to put it aside.
   * @throws StepError INVALID_PARAMS, EGRESS_DENIED: what trying again can't mend
   */
  start(config: SourceConfig, deliver: Deliver, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
