import { JSONFlowError } from '../src/lib/errors.ts';
import type { Connection, Listener, Packet, Transport } from '../src/ports/transport.ts';
import type { Message } from '../src/protocol/messages.ts';
import type { ProcessClock, VirtualClock } from './clock.ts';
import { SimLink } from './link.ts';
import type { SeededRandom } from './random.ts';
import type { Reporter } from './report.ts';

/** Sees every packet when it is sent, and may put another in its place, or none. */
export type Tap = (link: SimLink, from: 'worker' | 'coordinator', packet: Packet) => Packet | undefined;

export interface NetworkWeather {
  /** Least and most latency of a packet, in ms; most packets are near the least. */
  latencyMs: [number, number];
  /** Chance that an attempt to connect is lost. */
  connectLoss: number;
  /** Chance that an end hears late of a broken connection, and that it never does. */
  hearsLate: number;
  hearsNever: number;
}

export const fairWeather: NetworkWeather = { latencyMs: [1, 3], connectLoss: 0, hearsLate: 0, hearsNever: 0 };

const connectTimeoutMs = 700;
const url = 'sim://coordinator';

/** All connections between the workers and whoever listens as the coordinator. */
export class SimNetwork {
  weather: NetworkWeather = fairWeather;
  tap: Tap = (_link, _from, packet) => packet;
  /** Sees every message right before its receiver does. */
  onArrival: (link: SimLink, message: Message) => void = () => undefined;
  readonly links = new Set<SimLink>();
  readonly url = url;
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #report: Reporter;
  readonly #cutOff = new Set<string>();
  #listener: { clock: ProcessClock; accept: (connection: Connection) => void } | undefined;
  #links = 0;

  constructor(clock: VirtualClock, random: SeededRandom, report: Reporter) {
    this.#clock = clock;
    this.#random = random;
    this.#report = report;
  }

  latency(): number {
    const [least, most] = this.weather.latencyMs;
    return this.#random.skewed(least, most);
  }

  /** When the end of a broken connection hears of it: ms from now, or undefined for never. */
  hearing(): number | undefined {
    if (this.#random.chance(this.weather.hearsNever)) return undefined;
    return this.#random.chance(this.weather.hearsLate) ? this.#random.int(300, 6_000) : this.latency();
  }

  isCutOff(worker: string): boolean {
    return this.#cutOff.has(worker);
  }

  /** Packets to and from this worker stall. */
  partition(worker: string): void {
    this.#cutOff.add(worker);
    for (const link of this.links) if (link.worker === worker) link.stall();
  }

  /** What stalled arrives, unless the connection did not survive the wait. */
  heal(worker: string): void {
    this.#cutOff.delete(worker);
    for (const link of [...this.links])
      if (link.worker === worker) {
        if (this.#random.chance(0.3)) link.break('it did not survive the partition');
        else link.resume();
      }
  }

  /** The network as one process sees it. */
  transportFor(node: string, clock: ProcessClock): Transport {
    return {
      listen: async (accept) => this.#listen(clock, accept),
      connect: async (_url, options) => this.#connect(node, clock, options?.signal),
    };
  }

  /** Ends all connections of a process that died. A power cut (`silently`) is not heard at the other end. */
  cutProcess(clock: ProcessClock, silently: boolean): void {
    for (const link of [...this.links]) link.processDied(clock, silently);
    if (this.#listener?.clock === clock) this.#listener = undefined;
  }

  #listen(clock: ProcessClock, accept: (connection: Connection) => void): Listener {
    this.#listener = { clock, accept };
    return {
      url,
      close: async () => {
        if (this.#listener?.clock === clock) this.#listener = undefined;
      },
    };
  }

  async #connect(node: string, clock: ProcessClock, signal: AbortSignal | undefined): Promise<Connection> {
    await clock.sleep(this.latency());
    signal?.throwIfAborted();
    const listener = this.#listener;
    if (listener === undefined) throw unreachable('nobody listens');
    if (this.#cutOff.has(node) || this.#random.chance(this.weather.connectLoss)) {
      await clock.sleep(connectTimeoutMs);
      throw unreachable('no answer');
    }
    this.#links += 1;
    const link = new SimLink({
      id: this.#links,
      worker: node,
      network: this,
      clock: this.#clock,
      report: this.#report,
      ends: { worker: clock, coordinator: listener.clock },
    });
    this.links.add(link);
    this.#report.log(`net: ${node} connects (link ${link.id})`);
    listener.accept(link.coordinatorEnd);
    return link.workerEnd;
  }
}

const unreachable = (why: string): JSONFlowError =>
  new JSONFlowError('NODE_UNREACHABLE', `${url} can't be reached: ${why}`, { retriable: true });
