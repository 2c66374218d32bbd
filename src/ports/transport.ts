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
  /**
   * Queues a packet, which must not change any more. A packet sent after the close is dropped. A connection whose queue is far
   * above its limit ends with OVERLOADED.
   * @throws JSONFlowError LIMIT_EXCEEDED where the packet alone is above `limits.frameBytesMax`
   */
  send(packet: Packet): void;
  /** Resolves when the queue is below its limit, or when the connection ends: await it before sending much. */
  drained(): Promise<void>;
  /** Bytes queued and not yet handed to the peer. */
  readonly bufferedBytes: number;
  /**
   * Sets the one receiver, or puts another in its place; packets that came earlier are kept for it. It is never called from
   * within a `send`, nor after a `close` or `destroy` of this side. If it throws, the connection ends with INTERNAL.
   */
  onPacket(receive: (packet: Packet) => void): void;
  /**
   * Called once, never from within the call that closes; soon if already closed. Each call adds a listener. `error` is absent where
   * either side closed on purpose; otherwise it is NODE_LOST, what `destroy` was given, or what was wrong with the peer.
   */
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
