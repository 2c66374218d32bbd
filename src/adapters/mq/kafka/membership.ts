import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import { pauseMs, within } from '../waiting.ts';
import { assignPartitions, type Member } from './assignment.ts';
import type { Cluster } from './cluster.ts';
import { brokerErrors, isTransient, kafkaError } from './errors.ts';
import type { JoinGroupResponse, OffsetFetchResponse, SyncGroupResponse } from './wire.ts';

export interface MembershipOptions {
  topic: string;
  group: string;
  /** Without a heartbeat for so long, a member counts as dead and its partitions go to others. Ms. */
  sessionMs: number;
  /** Called before partitions may change hands: resolves when what is held is settled, or can't be waited for any longer. */
  quiesce(limitMs: number): Promise<void>;
  /** Called with what the member has now; `kept` it has had without a break. */
  assigned(partitions: readonly number[], kept: ReadonlySet<number>): Promise<void>;
  /** Called where the group goes on without this member: others may have its partitions already. */
  lost(): void;
}

export interface Commit {
  partition: number;
  offset: number;
  metadata: string;
}

/** How long members wait for each other when the group is formed anew, so how long what is held may take to be settled. */
const rebalanceMs = 30_000;
const quiesceMs = 20_000;
const leaveMs = 1_000;
const joinTriesMax = 20;
const triesWithoutAnswerMax = 3;

/** A member of a consumer group, by the classic protocol: joins, sends heartbeats, commits, leaves. */
export class Membership {
  readonly #cluster: Cluster;
  readonly #options: MembershipOptions;
  #memberId = '';
  #generation = -1;
  #owned: number[] = [];
  #joining: Promise<void> | undefined;
  #beating: NodeJS.Timeout | undefined;
  #lastBeatMs = 0;
  #rebalancing = false;
  #stopped = new AbortController();

  constructor(cluster: Cluster, options: MembershipOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Whether partitions may be read now. */
  get active(): boolean {
    return this.#generation >= 0 && !this.#rebalancing && this.#joining === undefined;
  }

  /** Resolves when this is a member that knows its partitions. @throws StepError */
  async ensure(signal: AbortSignal): Promise<void> {
    if (this.active) return;
    if (this.#rebalancing) return abortable(this.#settledSoon(signal), signal);
    await abortable(this.#joined(), signal);
  }

  /** @throws StepError CONSUME_FAILED where somebody else may have the partitions */
  async commit(commits: readonly Commit[], signal: AbortSignal): Promise<void> {
    const partitions = commits.map(({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
    }));
    const { group, topic } = this.#options;
    for (let tries = 0; ; tries += 1) {
      if (this.#generation < 0) throw gone();
      const args = [group, this.#generation, this.#memberId, null, [{ name: topic, partitions }]];
      try {
        await this.#cluster.call({ group }, 'OffsetCommit', args, signal);
        return;
      } catch (thrown) {
        signal.throwIfAborted();
        const ids = brokerErrors(thrown);
        if (ids.has('REBALANCE_IN_PROGRESS') && tries < 50) {
          // The members are getting their partitions this moment.
          this.#rebalance();
          await pauseMs(100, signal);
          continue;
        }
        if (isOut(ids)) {
          this.#drop();
          throw gone(thrown);
        }
        throw kafkaError(thrown, 'CONSUME_FAILED', 'committing offsets');
      }
    }
  }

  /** @returns by partition, where the group has committed something */
  async committed(
    partitions: readonly number[],
    signal: AbortSignal,
  ): Promise<Map<number, { offset: number; metadata: string | null }>> {
    const { group, topic } = this.#options;
    const request = {
      groupId: group,
      memberId: null,
      memberEpoch: -1,
      topics: [{ name: topic, partitionIndexes: partitions }],
    };
    const response = await this.#cluster.call<OffsetFetchResponse>({ group }, 'OffsetFetch', [[request], true], signal);
    const found = new Map<number, { offset: number; metadata: string | null }>();
    for (const one of response.groups[0]?.topics ?? [])
      for (const { partitionIndex, committedOffset, metadata } of one.partitions)
        if (committedOffset >= 0n) found.set(partitionIndex, { offset: Number(committedOffset), metadata });
    return found;
  }

  async leave(): Promise<void> {
    clearTimeout(this.#beating);
    this.#stopped.abort(new StepError('STEP_CANCELLED', 'the consumer is closing'));
    const memberId = this.#memberId;
    this.#memberId = '';
    this.#generation = -1;
    if (memberId === '') return;
    const { group } = this.#options;
    // Not heard, it only costs the others the time of a session.
    const args = [group, [{ memberId, groupInstanceId: null, reason: null }]];
    await within(leaveMs, this.#cluster.once({ group }, 'LeaveGroup', args));
  }

  #joined(): Promise<void> {
    this.#joining ??= this.#join().finally(() => {
      this.#joining = undefined;
    });
    return this.#joining;
  }

  async #settledSoon(signal: AbortSignal): Promise<void> {
    while (this.#rebalancing && !signal.aborted) await pauseMs(20, signal);
    if (!signal.aborted) await this.ensure(signal);
  }

  async #join(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      this.#stopped.signal.throwIfAborted();
      try {
        return await this.#joinOnce();
      } catch (thrown) {
        this.#stopped.signal.throwIfAborted();
        const ids = brokerErrors(thrown);
        if (ids.has('MEMBER_ID_REQUIRED')) continue;
        if (isOut(ids)) this.#drop();
        else if (!ids.has('REBALANCE_IN_PROGRESS') && !isTransient(thrown)) this.#fail(thrown);
        // Without an answer there is nobody to wait for.
        if (tries >= (ids.size === 0 ? triesWithoutAnswerMax : joinTriesMax)) this.#fail(thrown);
        await pauseMs(Math.min(2000, 50 * tries), this.#stopped.signal);
      }
    }
  }

  /** Not a member with half of what it needs, but none. */
  #fail(thrown: unknown): never {
    this.#drop();
    throw kafkaError(thrown, 'CONSUME_FAILED', 'joining the consumer group');
  }

  async #joinOnce(): Promise<void> {
    const { group, topic, sessionMs } = this.#options;
    const { kafka } = this.#cluster;
    const { signal } = this.#stopped;
    const before = this.#generation;
    const ownedPartitions = this.#owned.length === 0 ? [] : [{ topic, partitions: this.#owned }];
    const metadata = kafka.encodeConsumerProtocolSubscription({ version: 1, topics: [topic], ownedPartitions });
    const protocols = ['roundrobin', 'range'].map((name) => ({ name, metadata }));
    const joinArgs = [group, sessionMs, rebalanceMs, this.#memberId, null, 'consumer', protocols, null];
    const joined = await abortable(
      this.#cluster.once<JoinGroupResponse>({ group }, 'JoinGroup', joinArgs),
      signal,
    ).catch((thrown: unknown) => {
      const memberId = memberIdOf(thrown);
      if (memberId !== undefined) this.#memberId = memberId;
      throw thrown;
    });
    this.#memberId = joined.memberId;
    const assignments = joined.leader === joined.memberId ? await this.#assign(joined) : [];
    const syncArgs = [group, joined.generationId, joined.memberId, null, 'consumer', joined.protocolName, assignments];
    const synced = await abortable(this.#cluster.once<SyncGroupResponse>({ group }, 'SyncGroup', syncArgs), signal);
    const partitions = partitionsOf(kafka.decodeConsumerProtocolAssignment, synced.assignment, topic);
    // Whoever missed a generation can't know who had the partitions meanwhile.
    const unbroken = before >= 0 && joined.generationId === before + 1;
    const kept = new Set(unbroken ? this.#owned.filter((one) => partitions.includes(one)) : []);
    this.#generation = joined.generationId;
    this.#owned = partitions;
    this.#lastBeatMs = Date.now();
    this.#beatLater();
    await this.#options.assigned(partitions, kept);
  }

  async #assign({ members }: JoinGroupResponse): Promise<{ memberId: string; assignment: Buffer }[]> {
    const { kafka } = this.#cluster;
    const all = members.map(({ memberId, metadata }) => ({
      memberId,
      ...kafka.decodeConsumerProtocolSubscription(metadata),
    }));
    const topics = [...new Set(all.flatMap((one) => one.topics))].sort();
    const lists = new Map<string, { topic: string; partitions: number[] }[]>(all.map(({ memberId }) => [memberId, []]));
    for (const name of topics) {
      const interested = all.filter((one) => one.topics.includes(name));
      const owners: Member[] = interested.map(({ memberId, ownedPartitions }) => ({
        id: memberId,
        owned: ownedPartitions.find((one) => one.topic === name)?.partitions ?? [],
      }));
      const { leaders } = await this.#cluster.topic(name, this.#stopped.signal);
      for (const [memberId, partitions] of assignPartitions(leaders.length, owners))
        if (partitions.length > 0) lists.get(memberId)?.push({ topic: name, partitions });
    }
    return [...lists].map(([memberId, assignedPartitions]) => ({
      memberId,
      assignment: kafka.encodeConsumerProtocolAssignment({ version: 1, assignedPartitions }),
    }));
  }

  #beatLater(): void {
    clearTimeout(this.#beating);
    if (this.#stopped.signal.aborted) return;
    this.#beating = setTimeout(() => void this.#beat(), Math.min(1000, this.#options.sessionMs / 4));
    this.#beating.unref();
  }

  async #beat(): Promise<void> {
    const { group, sessionMs } = this.#options;
    const generation = this.#generation;
    if (generation < 0) return;
    // Joining is a sign of life itself, and the old generation may be over.
    if (this.#joining !== undefined) return this.#beatLater();
    try {
      await this.#cluster.once({ group }, 'Heartbeat', [group, generation, this.#memberId, null]);
      this.#lastBeatMs = Date.now();
    } catch (thrown) {
      if (this.#generation !== generation || this.#stopped.signal.aborted) return;
      const ids = brokerErrors(thrown);
      if (ids.has('REBALANCE_IN_PROGRESS')) {
        this.#lastBeatMs = Date.now();
        this.#rebalance();
      } else if (isOut(ids) || Date.now() - this.#lastBeatMs > sessionMs) return this.#drop();
    }
    this.#beatLater();
  }

  /** Others join or leave: lets what is held be settled, then joins anew. Heartbeats go on meanwhile. */
  #rebalance(): void {
    if (this.#rebalancing || this.#joining !== undefined || this.#generation < 0) return;
    this.#rebalancing = true;
    const again = async () => {
      await this.#options.quiesce(quiesceMs);
      const joined = this.#generation >= 0 ? this.#joined() : undefined;
      this.#rebalancing = false;
      await joined;
    };
    again().catch(() => this.#drop());
  }

  #drop(): void {
    clearTimeout(this.#beating);
    const member = this.#generation >= 0;
    this.#rebalancing = false;
    this.#generation = -1;
    this.#memberId = '';
    this.#owned = [];
    if (member) this.#options.lost();
  }
}

const isOut = (ids: Set<string>): boolean =>
  ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'].some((one) => ids.has(one));

const gone = (cause?: unknown): StepError =>
  new StepError(
    'CONSUME_FAILED',
    'the consumer group has given the partitions to another member; its messages are delivered again',
    { retryable: true, cause },
  );

/** The first answer to a new member is an error that holds its id. */
function memberIdOf(thrown: unknown): string | undefined {
  if (!brokerErrors(thrown).has('MEMBER_ID_REQUIRED')) return undefined;
  const { response } = thrown as { response?: { memberId?: string } };
  return response?.memberId;
}

type Decode = (buffer: Buffer) => { assignedPartitions: { topic: string; partitions: number[] }[] };

function partitionsOf(decode: Decode, assignment: Buffer, topic: string): number[] {
  if (assignment.length === 0) return [];
  return [...(decode(assignment).assignedPartitions.find((one) => one.topic === topic)?.partitions ?? [])].sort(
    (one, other) => one - other,
  );
}
