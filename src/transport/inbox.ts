import type { Packet } from '../ports/transport.ts';

/**
 * The receiving end of a connection: packets and then the end, in order, each delivered from a microtask and never from within
 * the call that brought it. Packets wait while there is no receiver; the end does not.
 */
export class Inbox {
  #packets: Packet[] = [];
  #heldBytes = 0;
  #receive: ((packet: Packet) => void) | undefined;
  #closed: ((error?: Error) => void)[] = [];
  #scheduled = false;
  #muted = false;
  #end: { error: Error | undefined } | undefined;
  readonly #taken: () => void;
  readonly #failed: (thrown: unknown) => void;

  /**
   * @param taken called when held packets go to the receiver, or are dropped
   * @param failed called when the receiver throws; it must end the connection
   */
  constructor(taken: () => void, failed: (thrown: unknown) => void) {
    this.#taken = taken;
    this.#failed = failed;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get hasReceiver(): boolean {
    return this.#receive !== undefined;
  }

  /** @param size what the packet counts for in `heldBytes` */
  push(packet: Packet, size: number): void {
    if (this.#muted) return;
    this.#packets.push(packet);
    this.#heldBytes += size;
    if (this.#receive !== undefined) this.#schedule();
  }

  onPacket(receive: (packet: Packet) => void): void {
    this.#receive = receive;
    if (this.#packets.length > 0) this.#schedule();
  }

  onClose(closed: (error?: Error) => void): void {
    this.#closed.push(closed);
    if (this.#end !== undefined) this.#schedule();
  }

  /** Forgets what is held and delivers nothing more, except the end. */
  mute(): void {
    this.#muted = true;
    this.#packets = [];
    this.#heldBytes = 0;
    this.#taken();
  }

  /** The connection has ended, after what came before. Only the first call counts. */
  end(error?: Error): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#drain);
  }

  readonly #drain = (): void => {
    this.#scheduled = false;
    if (this.#receive !== undefined && this.#packets.length > 0) this.#deliver();
    if (this.#end === undefined) return;
    const { error } = this.#end;
    const closed = this.#closed;
    this.#closed = [];
    for (const tell of closed) tell(error);
  };

  #deliver(): void {
    const batch = this.#packets;
    this.#packets = [];
    this.#heldBytes = 0;
    this.#taken();
    try {
      for (const packet of batch) {
        // The receiver may close the connection, or put another in its place.
        if (this.#muted) return;
        this.#receive?.(packet);
      }
    } catch (thrown) {
      this.#failed(thrown);
    }
  }
}
