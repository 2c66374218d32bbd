import type { Connection, Packet } from '../../ports/transport.ts';
import { limits } from '../../protocol/limits.ts';
import { DrainGate, overloadBytes } from '../drain-gate.ts';
import { failures } from '../failures.ts';
import { Inbox } from '../inbox.ts';

/** What a packet counts for besides its bytes, so that many small ones are not free. */
const packetBytes = 64;

/** Two ends of one connection: the first belongs to who connects to `url`, the second to who listens there. */
export function memoryPair(url: string, client: string): [Connection, Connection] {
  const near = new MemoryConnection(url);
  const far = new MemoryConnection(client);
  near.join(far);
  far.join(near);
  return [near, far];
}

class MemoryConnection implements Connection {
  readonly peer: string;
  readonly channelBinding = undefined;
  readonly local = true;
  readonly #inbox: Inbox;
  readonly #gate = new DrainGate();
  /** Absent before the pair is joined and after the end. */
  #other: MemoryConnection | undefined;

  constructor(peer: string) {
    this.peer = peer;
    this.#inbox = new Inbox(
      () => {
        if (this.#other !== undefined) this.#other.#gate.update(0);
      },
      (thrown) => this.destroy(failures.receiver(thrown)),
    );
  }

  join(other: MemoryConnection): void {
    this.#other = other;
  }

  get bufferedBytes(): number {
    return this.#other === undefined ? 0 : this.#other.#inbox.heldBytes;
  }

  send(packet: Packet): void {
    const other = this.#other;
    if (other === undefined) return;
    const bytes = packet.bytes === undefined ? 0 : packet.bytes.byteLength;
    if (bytes > limits.frameBytesMax) throw failures.tooLarge(bytes);
    if (other.#inbox.heldBytes > overloadBytes) this.destroy(failures.overloaded(this.peer));
    else other.#inbox.push(packet, packetBytes + bytes);
  }

  drained(): Promise<void> {
    return this.#gate.wait(this.bufferedBytes);
  }

  onPacket(receive: (packet: Packet) => void): void {
    this.#inbox.onPacket(receive);
  }

  onClose(closed: (error?: Error) => void): void {
    this.#inbox.onClose(closed);
  }

  close(): void {
    const other = this.#part();
    if (other === undefined) return;
    other.#inbox.end();
    this.#inbox.mute();
    this.#inbox.end();
  }

  destroy(error?: Error): void {
    const other = this.#part();
    if (other === undefined) return;
    other.#inbox.mute();
    other.#inbox.end(failures.lost(other.peer));
    this.#inbox.mute();
    this.#inbox.end(error);
  }

  /** Separates the two ends, so that neither can send any more, and returns the other; nothing if that was done before. */
  #part(): MemoryConnection | undefined {
    const other = this.#other;
    if (other === undefined) return undefined;
    this.#other = undefined;
    other.#other = undefined;
    this.#gate.open();
    other.#gate.open();
    return other;
  }
}
