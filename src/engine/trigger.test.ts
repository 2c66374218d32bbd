import assert from 'node:assert/strict';
import { it } from 'node:test';
import { seeded } from '../../test/store/history.ts';
import { adapterOf, Cluster, type ClusterOptions, steps, until } from '../../test/support/cluster.ts';
import { isObject, type JSONObject, type JSONValue } from '../lib/json.ts';
import type { Deliver, MessageSource, SourceConfig, SourceMessage } from '../ports/message-source.ts';
import type { MqTrigger, Workflow } from '../protocol/workflow.ts';
import { MemoryDisk, MemoryStore } from '../store/memory/memory-store.ts';

/** A broker in memory: what is not acknowledged, or whose acknowledgement is lost, is delivered again. */
class Queue implements MessageSource {
  readonly messages: SourceMessage[] = [];
  readonly rejected: string[] = [];
  config: SourceConfig | undefined;
  /** Whether an acknowledgement gets lost. */
  loses: () => boolean = () => false;
  held = 0;
  starts = 0;
  #deliver: Deliver | undefined;
  #gone = new AbortController();
  #unanswered = new Set<SourceMessage>();

  /** The consumer is gone: what it says from now on reaches nobody. */
  disconnect(): void {
    this.#deliver = undefined;
    this.messages.push(...this.#unanswered);
    this.#unanswered = new Set();
    this.held = 0;
    this.#gone.abort(new Error('disconnected'));
    this.#gone = new AbortController();
  }

  /** Comes back at once, as after a break of the connection. */
  reconnect(): void {
    const deliver = this.#deliver;
    this.disconnect();
    this.#deliver = deliver;
    this.pump();
  }

  add(...ids: string[]): void {
    for (const id of ids) this.messages.push({ message: { n: id }, delivery: { id } });
    this.pump();
  }

  async start(config: SourceConfig, deliver: Deliver, signal: AbortSignal): Promise<void> {
    this.starts += 1;
    this.config = config;
    this.#deliver = deliver;
    config.onState({ kind: 'connected' });
    this.pump();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    if (this.#deliver === deliver) this.#deliver = undefined;
    await until(() => this.held === 0);
  }

  pump(): void {
    while (this.#deliver !== undefined && this.held < (this.config?.prefetch ?? 0)) {
      const incoming = this.messages.shift();
      if (incoming === undefined) return;
      this.held += 1;
      const connection = this.#unanswered;
      connection.add(incoming);
      void this.#deliver(incoming, this.#gone.signal).then((disposition) => {
        if (this.#unanswered !== connection) return;
        connection.delete(incoming);
        this.held -= 1;
        if (typeof disposition === 'object' && 'reject' in disposition) this.rejected.push(incoming.delivery.id);
        else if (disposition !== 'ack' || this.loses()) this.messages.push(incoming);
        setImmediate(() => this.pump());
      });
    }
  }

  async close(): Promise<void> {}
}

const workflow = (trigger: Partial<MqTrigger> = {}): Workflow => ({
  workflow: 'orders',
  triggers: [{ type: 'mq', params: { broker: 'amqp://localhost', queue: 'orders' }, ...trigger }],
  steps: steps(1),
});

async function clusterWith(queue: Queue, options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await Cluster.start({ ...options, sources: { mq: queue } });
  await cluster.worker('w', [adapterOf(() => 1)]).join(await cluster.connect());
  return cluster;
}

/** The messages of every run that the disk holds. */
function idsOf(disk: MemoryDisk): string[] {
  const ids: string[] = [];
  for (const { events } of disk.runs.values()) {
    const { input } = JSON.parse(events[0] ?? '{}') as { input: { value: JSONObject } };
    const { delivery, deliveries = [delivery ?? null] } = input.value;
    for (const one of deliveries as JSONValue[]) ids.push(isObject(one) ? String(one.id) : 'none');
  }
  return ids.sort();
}

it('each message starts one run, with the message as input', async () => {
  const queue = new Queue();
  const cluster = await clusterWith(queue);
  queue.add('a', 'b');
  const status = await cluster.coordinator.deploy(workflow());
  assert.equal(status.triggers[0]?.state, 'connected');
  assert.deepEqual(queue.config?.params, { broker: 'amqp://localhost', queue: 'orders' });
  await until(() => queue.messages.length + queue.held === 0);
  assert.deepEqual(idsOf(cluster.disk), ['a', 'b']);
  const inputs = [...cluster.disk.runs.values()].map(({ events }) => JSON.parse(events[0] ?? '{}').input.value);
  assert.deepEqual(
    inputs.find(({ delivery }) => delivery.id === 'a'),
    {
      trigger: { id: 'mq', type: 'mq' },
      message: { n: 'a' },
      delivery: { id: 'a' },
    },
  );
  queue.add('a');
  await until(() => queue.messages.length + queue.held === 0);
  assert.deepEqual(idsOf(cluster.disk), ['a', 'b'], 'what comes again starts nothing');
  const [deployment] = await cluster.coordinator.deployments();
  const { runs_started, messages_repeated, messages_rejected } = deployment?.triggers[0] ?? {};
  assert.deepEqual([runs_started, messages_repeated, messages_rejected], [2, 1, 0]);
  await cluster.close();
});

it('no more runs than allowed are under way, and the rest stays with the broker', async () => {
  const queue = new Queue();
  const finish: (() => void)[] = [];
  const cluster = await Cluster.start({ sources: { mq: queue } });
  const adapter = adapterOf(() => new Promise<number>((resolve) => finish.push(() => resolve(1))));
  await cluster.worker('w', [adapter], { slots: 100 }).join(await cluster.connect());
  await cluster.coordinator.deploy(workflow({ max_concurrent_runs: 2 }));
  queue.add('a', 'b', 'c', 'd', 'e');
  for (let ended = 0; ended < 5; ended += 1) {
    await until(() => finish.length === Math.min(5, ended + 2));
    assert.ok(cluster.coordinator.underWay <= 2);
    assert.ok(queue.held <= 2);
    finish[ended]?.();
  }
  await until(() => cluster.coordinator.underWay === 0);
  assert.deepEqual(idsOf(cluster.disk), ['a', 'b', 'c', 'd', 'e']);
  await cluster.close();
});

it('a batch is one run, and leaves out what had its run in another', async () => {
  const queue = new Queue();
  const cluster = await clusterWith(queue);
  await cluster.coordinator.deploy(workflow({ batch: { max_messages: 3, wait_ms: 500 } }));
  queue.add('a', 'b', 'c');
  await until(() => cluster.disk.runs.size === 1 && queue.held === 0);
  queue.add('c', 'd', 'd');
  await until(() => cluster.disk.runs.size === 2);
  // The second 'd' comes again when the first is settled, as part of a batch that nothing else fills.
  await until(() => queue.held === 1);
  cluster.manual.advance(500);
  await until(() => queue.held + queue.messages.length === 0);
  assert.deepEqual(idsOf(cluster.disk), ['a', 'b', 'c', 'd']);
  assert.equal(cluster.disk.runs.size, 2);
  await cluster.close();
});

it('a message that can be no input is put aside, and spoils no batch', async () => {
  for (const batch of [undefined, { max_messages: 3 }]) {
    const queue = new Queue();
    const cluster = await clusterWith(queue);
    await cluster.coordinator.deploy(workflow(batch === undefined ? {} : { batch }));
    queue.messages.push({ message: '\ud800', delivery: { id: 'poison' } });
    queue.add('a', 'b');
    await until(() => queue.held + queue.messages.length === 0);
    assert.deepEqual(queue.rejected, ['poison']);
    assert.deepEqual(idsOf(cluster.disk), ['a', 'b']);
    await cluster.close();
  }
});

it('a deployment outlives the coordinator, can be replaced and removed', async () => {
  const disk = new MemoryDisk();
  const queue = new Queue();
  const first = await clusterWith(queue, { store: new MemoryStore({ disk }) });
  await first.coordinator.deploy(workflow());
  queue.add('a');
  await until(() => queue.held + queue.messages.length === 0);
  await first.close();
  queue.add('b', 'a');
  const second = await clusterWith(queue, { store: new MemoryStore({ disk }) });
  await until(() => queue.held + queue.messages.length === 0);
  assert.deepEqual(idsOf(disk), ['a', 'b']);
  await second.coordinator.deploy({ ...workflow(), description: 'replaced' });
  assert.equal(queue.starts, 3);
  queue.add('c', 'b');
  await until(() => queue.held + queue.messages.length === 0);
  assert.deepEqual(idsOf(disk), ['a', 'b', 'c'], 'also across a replacement');
  assert.equal((await second.coordinator.deployments()).length, 1);
  await second.coordinator.undeploy('orders');
  await assert.rejects(second.coordinator.undeploy('orders'), { code: 'NOT_FOUND' });
  queue.add('d');
  assert.equal(queue.messages.length, 1, 'nobody takes it');
  await second.close();
  await assert.rejects(second.coordinator.deployments(), { code: 'CLOSED' });
});

it('what comes again while it waits for its turn has one run, and its old copy is forgotten', async () => {
  const queue = new Queue();
  const finish: (() => void)[] = [];
  const cluster = await Cluster.start({ sources: { mq: queue } });
  const adapter = adapterOf(() => new Promise<number>((resolve) => finish.push(() => resolve(1))));
  await cluster.worker('w', [adapter], { slots: 100 }).join(await cluster.connect());
  await cluster.coordinator.deploy(workflow({ max_concurrent_runs: 1 }));
  queue.add('a', 'b');
  await until(() => finish.length === 1 && queue.held === 1);
  for (let times = 0; times < 20; times += 1) queue.reconnect();
  finish[0]?.();
  await until(() => finish.length === 2);
  finish[1]?.();
  await until(() => cluster.coordinator.underWay === 0 && queue.held + queue.messages.length === 0);
  assert.deepEqual(idsOf(cluster.disk), ['a', 'b']);
  const [deployment] = await cluster.coordinator.deployments();
  assert.equal(deployment?.triggers[0]?.messages_repeated, 0, 'no copy was left to be taken for a repetition');
  await cluster.close();
});

it('runs of an earlier deployment, or of before a restart, take places, too', async () => {
  const disk = new MemoryDisk();
  const queue = new Queue();
  const first = await Cluster.start({ sources: { mq: queue }, store: new MemoryStore({ disk }) });
  await first.coordinator.deploy(workflow({ max_concurrent_runs: 1 }));
  queue.add('a', 'b');
  await until(() => disk.runs.size === 1);
  await first.coordinator.deploy({ ...workflow({ max_concurrent_runs: 1 }), description: 'again' });
  await until(() => queue.held === 1);
  assert.equal(disk.runs.size, 1);
  await first.close();
  const second = await Cluster.start({ sources: { mq: queue }, store: new MemoryStore({ disk }) });
  await until(() => queue.held === 1);
  assert.equal(disk.runs.size, 1);
  await second.worker('w', [adapterOf(() => 1)]).join(await second.connect());
  await until(() => disk.runs.size === 2 && queue.held + queue.messages.length === 0);
  await second.close();
});

it('what nothing could ever start, or no adapter serves, is refused', async () => {
  const cluster = await Cluster.start();
  const { triggers: _, ...without } = workflow();
  await assert.rejects(cluster.coordinator.deploy(without), { code: 'INVALID_INPUT' });
  await assert.rejects(cluster.coordinator.deploy(workflow()), { code: 'INVALID_INPUT' });
  await assert.rejects(cluster.coordinator.deploy({ workflow: 'x', steps: [] }), { code: 'INVALID_WORKFLOW' });
  await cluster.close();
});

it('a coordinator that has too much to do takes the message later', async () => {
  const queue = new Queue();
  const cluster = await Cluster.start({ sources: { mq: queue }, config: { runsActiveMax: 1, runsQueuedMax: 1 } });
  await cluster.coordinator.deploy(workflow());
  queue.add('a', 'b');
  await until(() => queue.held + queue.messages.length === 0);
  queue.add('c');
  const why = async () => (await cluster.coordinator.deployments())[0]?.triggers[0]?.why ?? '';
  await until(async () => (await why()).includes('no run can be started'));
  assert.equal(queue.held, 1, 'it is held, and not sent back and forth');
  await cluster.worker('w', [adapterOf(() => 1)]).join(await cluster.connect());
  await until(() => cluster.coordinator.underWay === 0);
  cluster.manual.advance(200);
  await until(() => queue.held + queue.messages.length === 0);
  assert.deepEqual(idsOf(cluster.disk), ['a', 'b', 'c']);
  assert.equal(await why(), '');
  await cluster.close();
});

it('whatever is lost, repeated or killed, each message has exactly one run', async () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = seeded(seed);
    const disk = new MemoryDisk();
    const queue = new Queue();
    queue.loses = () => random() < 0.3;
    const ids = Array.from({ length: 30 }, (_, index) => `m${index}`);
    const batch = random() < 0.5 ? { max_messages: 1 + Math.floor(random() * 5), wait_ms: 0 } : undefined;
    const pending = [...ids];
    let deployed = false;
    for (let lives = 0; pending.length + queue.messages.length > 0; lives += 1) {
      assert.ok(lives < 200, `seed ${seed}: it does not end`);
      const store = new MemoryStore({ disk });
      const cluster = await clusterWith(queue, { store });
      if (!deployed) await cluster.coordinator.deploy(workflow(batch === undefined ? {} : { batch }));
      deployed = true;
      queue.add(...pending.splice(0, 1 + Math.floor(random() * 10)));
      for (let turns = Math.floor(random() * 40); turns > 0; turns -= 1) {
        await new Promise((resolve) => setImmediate(resolve));
        cluster.manual.advance(1);
      }
      if (random() < 0.3) await cluster.close();
      else {
        // Power is cut: of the group that is being written a part survives, and the broker takes back what it has no answer for.
        store.crash(Math.floor(random() * 3));
        queue.disconnect();
      }
    }
    assert.deepEqual(idsOf(disk), [...ids].sort(), `seed ${seed}`);
  }
});
