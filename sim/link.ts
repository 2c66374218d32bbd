import { messageOf } from '../src/lib/errors.ts';
import type { Connection, Packet } from '../src/ports/transport.ts';
import { parseMessage } from '../src/protocol/message-schema.ts';
import { failures } from '../src/transport/failures.ts';
import { Inbox } from '../src/transport/inbox.ts';
import type { ProcessClock, VirtualClock } from './clock.ts';
import type { SimNetwork } from './network.ts';
import type { Reporter } from './report.ts';

type Side = 'worker' | 'coordinator';
const otherSide = (side: Side): Side => (side === 'worker' ? 'coordinator' : 'worker');

interface LinkParts {
  id: number;
  worker: string;
  network: SimNetwork;
  clock: VirtualClock;
  report: Reporter;
  ends: Record<Side, ProcessClock>;
}

/** What travels: a packet as text, or the end of the sender's side. */
type Travelling = { text: string; bytes: Uint8Array | undefined; kind: string } | 'fin' | 'reset';

/**
 * One connection. Each direction keeps its order; the directions, and different connections, do not wait for each other. Broken
 * means: nothing travels any more, and each end hears of it in its own time, or never.
 */
export class SimLink {
  readonly id: number;
  readonly worker: string;
  readonly workerEnd: SimConnection;
  readonly coordinatorEnd: SimConnection;
  readonly ends: Record<Side, ProcessClock>;
  readonly #parts: LinkParts;
  readonly #arrival: Record<Side, number> = { worker: 0, coordinator: 0 };
  /** What travels each way, in the order of sending. */
  readonly #flying: Record<Side, Travelling[]> = { worker: [], coordinator: [] };
  /** How much of it is due, but held up by a partition. */
  readonly #due: Record<Side, number> = { worker: 0, coordinator: 0 };
  #stalled = false;
  #broken = false;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.worker = parts.worker;
    this.ends = parts.ends;
    this.workerEnd = new SimConnection(this, 'worker');
    this.coordinatorEnd = new SimConnection(this, 'coordinator');
  }

  get broken(): boolean {
    return this.#broken;
  }

  end(side: Side): SimConnection {
    return side === 'worker' ? this.workerEnd : this.coordinatorEnd;
  }

  stall(): void {
    this.#stalled = true;
  }

  resume(): void {
    this.#stalled = false;
    for (const side of ['worker', 'coordinator'] as const)
      for (; this.#due[side] > 0; this.#due[side] -= 1) this.#arriveLater(side);
  }

  /** Tears the connection; what is under way is lost. */
  break(why: string): void {
    if (this.#broken) return;
    this.#parts.report.log(`net: link ${this.id} of ${this.worker} breaks: ${why}`);
    this.#broken = true;
    this.#parts.network.links.delete(this);
    for (const side of ['worker', 'coordinator'] as const) {
      const after = this.#parts.network.hearing();
      if (after !== undefined) this.#parts.clock.timer(after, () => this.end(side).lost());
    }
  }

  processDied(clock: ProcessClock, silently: boolean): void {
    for (const side of ['worker', 'coordinator'] as const) {
      if (this.ends[side] !== clock || this.#broken) continue;
      this.#broken = true;
      this.#parts.network.links.delete(this);
      const after = silently ? undefined : this.#parts.network.latency();
      if (after !== undefined) this.#parts.clock.timer(after, () => this.end(otherSide(side)).lost());
    }
  }

  send(from: Side, packet: Packet): void {
    const passed = this.#parts.network.tap(this, from, packet);
    if (passed === undefined) return;
    const bytes = passed.bytes === undefined ? undefined : Uint8Array.from(passed.bytes);
    this.carry(from, { text: JSON.stringify(passed.message), bytes, kind: passed.message.kind });
  }

  carry(from: Side, what: Travelling): void {
    if (this.#broken) return;
    this.#flying[from].push(what);
    if (this.#stalled) this.#due[from] += 1;
    else this.#arriveLater(from);
  }

  /** The next of what travels that way arrives, whichever it is by then: nothing overtakes. */
  #arriveLater(from: Side): void {
    const { clock, network } = this.#parts;
    const at = Math.max(this.#arrival[from], clock.now() + network.latency());
    this.#arrival[from] = at;
    clock.timerAt(at, () => this.#arrive(from));
  }

  /** No message, however late or repeated, may make its receiver throw. */
  receiverThrew(side: Side, message: string): void {
    this.#parts.report.violation('no exception', `the ${side} end of a connection threw: ${message}`);
  }

  #arrive(from: Side): void {
    if (this.#broken) return;
    if (this.#stalled) {
      this.#due[from] += 1;
      return;
    }
    const what = this.#flying[from].shift();
    if (what === undefined) return;
    const end = this.end(otherSide(from));
    if (what === 'fin' || what === 'reset') {
      this.#broken = true;
      this.#parts.network.links.delete(this);
      return what === 'fin' ? end.ended() : end.lost();
    }
    if (this.ends[otherSide(from)].dead) return;
    if (!quiet.has(what.kind))
      this.#parts.report.log(`net: ${what.kind} ${from === 'worker' ? 'from' : 'to'} ${this.worker} (link ${this.id})`);
    const message = parseMessage(JSON.parse(what.text));
    this.#parts.network.onArrival(this, message);
    end.arrived(what.bytes === undefined ? { message } : { message, bytes: what.bytes });
  }
}

/** Too frequent to be worth a line. */
const quiet: ReadonlySet<string> = new Set(['ping', 'pong', 'progress', 'log']);

class SimConnection implements Connection {
  readonly peer: string;
  readonly channelBinding = undefined;
  readonly local = false;
  readonly bufferedBytes = 0;
  readonly #link: SimLink;
  readonly #side: Side;
  readonly #inbox: Inbox;
  #open = true;

  constructor(link: SimLink, side: Side) {
    this.#link = link;
    this.#side = side;
    this.peer = side === 'worker' ? 'sim://coordinator' : `sim://${link.worker}`;
    this.#inbox = new Inbox(
      () => undefined,
      (thrown) => {
        link.receiverThrew(side, messageOf(thrown));
        this.destroy(failures.receiver(thrown));
      },
    );
  }

  send(packet: Packet): void {
    if (this.#open && !this.#link.ends[this.#side].dead) this.#link.send(this.#side, packet);
  }

  async drained(): Promise<void> {}

  onPacket(receive: (packet: Packet) => void): void {
    this.#inbox.onPacket(receive);
  }

  onClose(closed: (error?: Error) => void): void {
    this.#inbox.onClose(closed);
  }

  close(): void {
    this.#leave('fin');
  }

  destroy(error?: Error): void {
    this.#leave('reset', error);
  }

  arrived(packet: Packet): void {
    if (this.#open) this.#inbox.push(packet, 64);
  }

  /** The peer closed on purpose. */
  ended(): void {
    if (!this.#open || this.#link.ends[this.#side].dead) return;
    this.#open = false;
    this.#inbox.end();
  }

  lost(): void {
    if (!this.#open || this.#link.ends[this.#side].dead) return;
    this.#open = false;
    this.#inbox.mute();
    this.#inbox.end(failures.lost(this.peer));
  }

  #leave(how: 'fin' | 'reset', error?: Error): void {
    if (!this.#open || this.#link.ends[this.#side].dead) return;
    this.#open = false;
    this.#link.carry(this.#side, how);
    this.#inbox.mute();
    this.#inbox.end(error);
  }
}
