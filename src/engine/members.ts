import type { SchedulerNode } from '../core/scheduler/node.ts';
import { freeOf } from '../core/scheduler/node.ts';
import type { Scheduler } from '../core/scheduler/scheduler.ts';
import { messageOf } from '../lib/errors.ts';
import { isoTime } from '../lib/time.ts';
import { BlobExchange, isBlobMessage } from '../link/blobs.ts';
import type { Clock } from '../ports/clock.ts';
import type { Store } from '../ports/store.ts';
import type { Connection, Packet } from '../ports/transport.ts';
import type { AdapterManifest, AttemptKey, Message, MessageOf, StepTypeManifest } from '../protocol/messages.ts';
import type { PublicKeyEntry } from '../protocol/receipt.ts';
import type { NodeStatus } from '../protocol/result.ts';
import type { Admitted } from './admission.ts';
import type { CoordinatorConfig } from './config.ts';

/** A worker that has joined, and whether it is still there. */
export interface Member {
  readonly id: string;
  readonly key: PublicKeyEntry;
  connection: Connection | undefined;
  blobs: BlobExchange | undefined;
  adapters: AdapterManifest[];
  product: string;
  connectedAt: number;
  lastHeardAt: number;
  /** Runs out when the node has been away for too long. */
  graceTimer: (() => void) | undefined;
  /** The node gets nothing new before this time. */
  heldBackUntil: number;
  /** Evidence of it that did not hold. */
  misdeeds: number;
}

/** How long a node that handed a step back is left alone; otherwise the step would go to and fro. */
const holdBackMs = 1_000;
/** So often a node may send evidence that does not hold; then it is expelled for a while. */
const misdeedsMax = 3;
const bannedMax = 10_000;

export interface MemberEvents {
  joined(member: Member): void;
  suspected(member: Member, why: string): void;
  left(member: Member, why: string): void;
  message(member: Member, message: Exclude<Message, { kind: `blob.${string}` }>): void;
  /** Those of the attempts that are of no run any more. */
  forgotten(holding: readonly AttemptKey[]): Promise<Set<AttemptKey>>;
  /** Which of the attempts that a joining node holds it shall drop; what it lacks is lost. */
  review(nodeId: string, holding: readonly AttemptKey[], forgotten: ReadonlySet<AttemptKey>): AttemptKey[];
  /** The node is new to the scheduler: room for what it still runs has to be taken. */
  reserve(nodeId: string): void;
  /** Room or nodes have changed: what waits may be placeable now. */
  changed(): void;
}

/** Slots above this are not believed. */
const slotsMax = 100_000;

/** Who is there: connections, heartbeats, suspicion, and what each node offers. */
export class Members {
  readonly #config: CoordinatorConfig;
  readonly #scheduler: Scheduler;
  readonly #clock: Clock;
  readonly #store: Store;
  readonly #events: MemberEvents;
  readonly #members = new Map<string, Member>();
  /** The newest attempt of each node to join that is not through yet. */
  readonly #joining = new Map<string, symbol>();
  /** Nodes that were expelled, and until when. */
  readonly #banned = new Map<string, number>();
  #beatAt = Number.NaN;
  #frozen = false;
  #stopBeat: (() => void) | undefined;
  #stepTypes: ReadonlyMap<string, StepTypeManifest> | undefined;

  constructor(
    config: CoordinatorConfig,
    deps: { scheduler: Scheduler; clock: Clock; store: Store },
    events: MemberEvents,
  ) {
    this.#config = config;
    this.#scheduler = deps.scheduler;
    this.#clock = deps.clock;
    this.#store = deps.store;
    this.#events = events;
  }

  start(): void {
    this.#stopBeat = this.#clock.timer(this.#config.heartbeatMs, () => {
      this.#beat();
      this.start();
    });
  }

  get(id: string): Member | undefined {
    return this.#members.get(id);
  }

  counts(): { connected: number; suspected: number } {
    const all = [...this.#members.values()];
    const connected = all.filter(({ connection }) => connection !== undefined).length;
    return { connected, suspected: all.length - connected };
  }

  /** Step types that some node offers. The same map as long as no offer changed. */
  stepTypes(): ReadonlyMap<string, StepTypeManifest> {
    if (this.#stepTypes !== undefined) return this.#stepTypes;
    const types = new Map<string, StepTypeManifest>();
    for (const { adapters } of this.#members.values())
      for (const { step_types } of adapters) for (const stepType of step_types) types.set(stepType.type, stepType);
    this.#stepTypes = types;
    return types;
  }

  async welcome(admitted: Admitted, epoch: number): Promise<void> {
    const { connection, key, proof, product, early } = admitted;
    // Until it is welcome the node gets nothing, and what was sent on its earlier connection is lost.
    this.#members.get(key.node_id)?.connection?.destroy();
    const turn = Symbol(key.node_id);
    this.#joining.set(key.node_id, turn);
    const forgotten = await this.#events.forgotten(proof.holding);
    // It has connected again meanwhile, or the coordinator has closed.
    if (this.#joining.get(key.node_id) !== turn) return connection.destroy();
    this.#joining.delete(key.node_id);
    const before = this.#members.get(key.node_id);
    before?.graceTimer?.();
    before?.connection?.destroy();
    const member: Member = {
      id: key.node_id,
      key,
      connection,
      blobs: new BlobExchange(
        connection,
        { load: (digest) => this.#store.getBlob(digest), save: (digest, bytes) => this.#store.putBlob(digest, bytes) },
        'accepting',
      ),
      adapters: proof.adapters,
      product,
      connectedAt: this.#clock.now(),
      lastHeardAt: this.#clock.now(),
      graceTimer: undefined,
      heldBackUntil: 0,
      misdeeds: 0,
    };
    this.#members.set(member.id, member);
    this.#stepTypes = undefined;
    // Whatever the node did not bring along is lost, and its room free, before it gets anything new.
    const drop = this.#events.review(member.id, proof.holding, forgotten);
    const known = this.#scheduler.node(member.id);
    this.#scheduler.setNode(schedulerNode(member, proof, known?.latencyMs));
    if (known === undefined) this.#events.reserve(member.id);
    connection.onClose((error) =>
      this.#disconnected(member, error === undefined ? 'it disconnected' : messageOf(error)),
    );
    connection.send({
      message: { kind: 'welcome', epoch, heartbeat_ms: this.#config.heartbeatMs, drop },
    });
    this.#events.joined(member);
    for (const packet of early) this.#receive(member, packet);
    connection.onPacket((packet) => this.#receive(member, packet));
    this.#events.changed();
  }

  /** A node known from before a restart: its steps are its own until the grace is over. */
  expect(key: PublicKeyEntry): void {
    if (this.#members.has(key.node_id)) return;
    const member: Member = {
      id: key.node_id,
      key,
      connection: undefined,
      blobs: undefined,
      adapters: [],
      product: '',
      connectedAt: this.#clock.now(),
      lastHeardAt: this.#clock.now(),
      graceTimer: undefined,
      heldBackUntil: 0,
      misdeeds: 0,
    };
    this.#members.set(member.id, member);
    this.#giveGrace(member, 'it did not come back after the restart of the coordinator', this.#config.restartGraceMs);
  }

  send(id: string, message: Message): boolean {
    const connection = this.#members.get(id)?.connection;
    connection?.send({ message });
    return connection !== undefined;
  }

  /** The node gets nothing new for a moment. */
  holdBack(id: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    member.heldBackUntil = this.#clock.now() + holdBackMs;
    this.#scheduler.suspect(id, true);
    this.#clock.timer(holdBackMs, () => this.#trustAgain(member));
  }

  /** The node sent evidence that does not hold. A few times may be a defect; more is not waited for. */
  misbehaved(id: string, why: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    member.misdeeds += 1;
    if (member.misdeeds < misdeedsMax) return this.holdBack(id);
    for (const oldest of this.#banned.keys()) {
      if (this.#banned.size < bannedMax) break;
      this.#banned.delete(oldest);
    }
    this.#banned.set(id, this.#clock.now() + this.#config.expelMs);
    this.#lost(member, `it was expelled: ${why}`);
  }

  isBanned(id: string): boolean {
    return (this.#banned.get(id) ?? 0) > this.#clock.now();
  }

  /** Nobody is given up any more: the coordinator closes, and what runs elsewhere goes on there. */
  freeze(): void {
    this.#frozen = true;
    this.#stopBeat?.();
    for (const member of this.#members.values()) member.graceTimer?.();
  }

  status(): NodeStatus[] {
    return [...this.#members.values()].map((member) => {
      const node = this.#scheduler.node(member.id);
      return {
        id: member.id,
        role: member.connection?.local === true ? 'coordinator' : 'worker',
        state: member.connection === undefined || node?.suspected === true ? 'suspected' : 'connected',
        adapters: member.adapters.map(({ adapter_id }) => adapter_id),
        step_types: [...(node?.stepTypes ?? [])],
        labels: { ...node?.labels },
        resources: { total: { ...node?.total }, free: node === undefined ? {} : freeOf(node) },
        load: { running: node?.running ?? 0, slots: node?.slots ?? 0 },
        latency_ms: node?.latencyMs === undefined ? null : Math.round(node.latencyMs * 100) / 100,
        key_id: member.key.key_id,
        version: member.product,
        connected_at: isoTime(member.connectedAt),
      };
    });
  }

  close(why: string): void {
    this.#stopBeat?.();
    for (const member of this.#members.values()) {
      member.graceTimer?.();
      member.connection?.send({ message: { kind: 'goodbye', why } });
      member.connection?.close();
    }
    this.#members.clear();
    this.#joining.clear();
  }

  #receive(member: Member, { message, bytes }: Packet): void {
    if (this.#members.get(member.id) !== member) return;
    member.lastHeardAt = this.#clock.now();
    if (isBlobMessage(message)) return member.blobs?.receive(message, bytes);
    switch (message.kind) {
      case 'pong':
        return this.#heard(member, message);
      case 'manifest':
        return this.#manifest(member, message);
      case 'goodbye':
        return this.#lost(member, `it said goodbye: ${message.why}`);
      default:
        this.#events.message(member, message);
    }
  }

  #heard(member: Member, { at }: MessageOf<'pong'>): void {
    const node = this.#scheduler.node(member.id);
    if (node === undefined) return;
    const rtt = Math.max(0, this.#clock.now() - at);
    node.latencyMs = node.latencyMs === undefined ? rtt : node.latencyMs * 0.8 + rtt * 0.2;
    this.#trustAgain(member);
  }

  #trustAgain(member: Member): void {
    const gone = this.#members.get(member.id) !== member || member.connection === undefined;
    if (gone || this.#clock.now() < member.heldBackUntil || this.#scheduler.node(member.id)?.suspected !== true) return;
    this.#scheduler.suspect(member.id, false);
    this.#events.changed();
  }

  #manifest(member: Member, { adapters, resources }: MessageOf<'manifest'>): void {
    const node = this.#scheduler.node(member.id);
    if (node === undefined) return;
    member.adapters = adapters;
    this.#stepTypes = undefined;
    const offer = { adapters, resources, labels: node.labels, slots: node.slots, backends: node.backends };
    this.#scheduler.setNode(schedulerNode(member, offer, node.latencyMs));
    this.#events.changed();
  }

  #beat(): void {
    const now = this.#clock.now();
    // A late beat: this process stood still, or the clock was set. What the nodes sent meanwhile has not been read yet.
    const late = !(now - this.#beatAt >= 0 && now - this.#beatAt < this.#config.suspectAfterMs);
    this.#beatAt = now;
    for (const member of [...this.#members.values()]) {
      if (member.connection === undefined || member.connection.local) continue;
      if (late) member.lastHeardAt = now;
      const silence = now - member.lastHeardAt;
      if (silence >= this.#config.lostAfterMs) {
        this.#lost(member, `it has been silent for ${silence} ms`);
        continue;
      }
      if (silence >= this.#config.suspectAfterMs) this.#suspect(member, `it has been silent for ${silence} ms`);
      member.connection.send({ message: { kind: 'ping', at: now } });
    }
  }

  #suspect(member: Member, why: string): void {
    if (this.#scheduler.node(member.id)?.suspected !== false) return;
    this.#scheduler.suspect(member.id, true);
    this.#events.suspected(member, why);
    this.#events.changed();
  }

  #disconnected(member: Member, why: string): void {
    if (this.#members.get(member.id) !== member || member.connection === undefined) return;
    member.connection = undefined;
    member.blobs = undefined;
    this.#suspect(member, why);
    this.#giveGrace(member, why, this.#config.reconnectGraceMs);
  }

  #giveGrace(member: Member, why: string, graceMs: number): void {
    if (this.#frozen) return;
    member.graceTimer = this.#clock.timer(graceMs, () => this.#lost(member, why));
  }

  #lost(member: Member, why: string): void {
    if (this.#frozen || this.#members.get(member.id) !== member) return;
    this.#members.delete(member.id);
    this.#stepTypes = undefined;
    member.graceTimer?.();
    const { connection } = member;
    member.connection = undefined;
    connection?.close();
    this.#events.left(member, why);
    this.#scheduler.removeNode(member.id);
    this.#events.changed();
  }
}

type Offer = Pick<MessageOf<'proof'>, 'adapters' | 'resources' | 'slots'> & {
  labels: Readonly<Record<string, string>>;
  backends: readonly string[];
};

function schedulerNode(member: Member, offer: Offer, latencyMs: number | undefined): SchedulerNode {
  const local = member.connection?.local === true;
  return {
    id: member.id,
    local,
    adapters: new Set(offer.adapters.map(({ adapter_id }) => adapter_id)),
    stepTypes: new Set(offer.adapters.flatMap(({ step_types }) => step_types.map(({ type }) => type))),
    labels: offer.labels,
    backends: offer.backends,
    total: offer.resources,
    slots: Math.min(offer.slots, slotsMax),
    running: 0,
    used: {},
    latencyMs,
    suspected: false,
  };
}
