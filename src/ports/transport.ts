import type { Message } from '../protocol/messages.ts';

/** A message with the bytes that travel beside it. Receivers must not change either. */
export interface Packet {
  message: Message;
  bytes?: Uint8Array;
}

/**
 * One ordered, two-way connection between two nodes. What is sent arrives in order and at most once; a broken connection loses
 * what was under way, and both sides hear of it through `onClose`.
 */
export interface Connection {
  /** For people: the peer's address. */
  readonly peer: string;
  /** RFC 9266 `tls-exporter` channel binding where the connection runs over TLS 1.3. */
  readonly channelBinding: Uint8Array | undefined;
  /** Whether both ends live in this process and share its trust. */
  readonly local: boolean;
  /** Queues a packet. A packet sent after the close is dropped. */
  send(packet: Packet): void;
  /** Resolves when the queue is below its limit: await it before sending much. */
  drained(): Promise<void>;
  /** Bytes queued and not yet handed to the peer. */
  readonly bufferedBytes: number;
  /** Sets the one receiver; packets that came earlier are kept for it. */
  onPacket(receive: (packet: Packet) => void): void;
  /** Called once, at once if already closed. `error` is absent where either side closed on purpose. */
  onClose(closed: (error?: Error) => void): void;
  /** Sends what is queued, then closes. Idempotent. */
  close(): void;
  /** Drops the connection at once. */
  destroy(error?: Error): void;
}

export interface Listener {
  /** What peers connect to. */
  readonly url: string;
  close(): Promise<void>;
}

/** A way to move packets between nodes. Drivers pass `test/compliance/transport.ts`. */
export interface Transport {
  /** Accepts connections until the listener is closed. */
  listen(accept: (connection: Connection) => void): Promise<Listener>;
  /**
   * @throws JSONFlowError NODE_UNREACHABLE, retriable unless the address or the peer's certificate is wrong
   */
  connect(url: string, options?: { signal?: AbortSignal }): Promise<Connection>;
}
