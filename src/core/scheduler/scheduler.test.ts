import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Step, Workflow } from '../../protocol/workflow.ts';
import { type Demand, demandOf } from './demand.ts';
import { freeOf, hasRoom, lacks, type SchedulerNode } from './node.ts';
import { type LocalSteps, type Placement, Scheduler } from './scheduler.ts';

const nodeOf = (id: string, change: Partial<SchedulerNode> = {}): SchedulerNode => ({
  id,
  local: false,
  adapters: new Set(['transform']),
  stepTypes: new Set(['t']),
  labels: {},
  backends: [],
  total: {},
  slots: 4,
  running: 0,
  used: {},
  latencyMs: undefined,
  suspected: false,
  ...change,
});

const demandFor = (step: Partial<Step> = {}, workflow: Partial<Workflow> = {}): Demand =>
  demandOf({ id: 's', type: 't', ...step }, { workflow: 'w', steps: [], ...workflow });

function schedulerOf(nodes: SchedulerNode[], localSteps?: LocalSteps): Scheduler {
  const scheduler = new Scheduler(localSteps);
  for (const node of nodes) scheduler.setNode(node);
  return scheduler;
}

function place(scheduler: Scheduler, demand: Demand, run = 'r', step = 0): Placement | undefined {
  scheduler.enqueue({ run, step, demand });
  return scheduler.next();
}

function drain(scheduler: Scheduler): Placement[] {
  const placed: Placement[] = [];
  for (let next = scheduler.next(); next !== undefined; next = scheduler.next()) placed.push(next);
  return placed;
}

describe('where a step may run', () => {
  it('only where its adapter is', () => {
    const scheduler = schedulerOf([nodeOf('a', { stepTypes: new Set(['u']) }), nodeOf('b')]);
    const placed = place(scheduler, demandFor());
    assert.equal(placed?.node, 'b');
    assert.match(placed?.reason.text ?? '', /the only node that can run it/);
    assert.equal(placed?.reason.candidates, 1);
  });

  it('only where everything that it requires is', () => {
    const nodes = {
      small: nodeOf('small', { total: { ram_mb: 512, qubits: 4 } }),
      plain: nodeOf('plain', { labels: { zone: 'us' } }),
      full: nodeOf('full', { total: { ram_mb: 4096, qubits: 8, gpu: 1 }, labels: { zone: 'eu' }, backends: ['sim'] }),
    };
    const cases: [Partial<Step>, string[]][] = [
      [{ resource_requirements: { ram_mb: 1024 } }, ['plain', 'full']],
      [{ resource_requirements: { qubits: 4 } }, ['small', 'full']],
      [{ resource_requirements: { gpu: true } }, ['full']],
      [{ resource_requirements: { gpu: false } }, ['small', 'plain', 'full']],
      [{ resource_requirements: { db_connections: 1 } }, []],
      [{ resource_requirements: { backend: 'sim' } }, ['small', 'plain', 'full']],
      [{ resource_requirements: { backend: 'hardware' } }, ['small', 'plain']],
      [{ node_preference: { require_node: 'small' } }, ['small']],
      [{ node_preference: { require_labels: { zone: 'eu' } } }, ['full']],
      [{ node_preference: { require_labels: { toString: 'x' } } }, []],
    ];
    for (const [step, expected] of cases) {
      const fit = Object.values(nodes).filter((node) => lacks(node, demandFor(step)).length === 0);
      assert.deepEqual(
        fit.map(({ id }) => id),
        expected,
        JSON.stringify(step),
      );
    }
  });

  it('needs what its adapter says, where it says nothing itself', () => {
    const own = { qubits: 4, ram_mb: 100 };
    const resourcesOf = (step: Partial<Step>) =>
      demandOf({ id: 's', type: 't', ...step }, { workflow: 'w', steps: [] }, own).resources;
    assert.deepEqual(resourcesOf({}), own);
    assert.deepEqual(resourcesOf({ resource_requirements: { qubits: 2, cpu_cores: 1 } }), {
      ...own,
      qubits: 2,
      cpu_cores: 1,
    });
    assert.deepEqual(resourcesOf({ resource_requirements: { qubits: 0 } }), { ram_mb: 100 });
  });

  it('on the coordinator only while nobody else could, always, or never', () => {
    const local = () => nodeOf('c', { local: true });
    assert.equal(place(schedulerOf([local()]), demandFor())?.node, 'c');
    assert.equal(place(schedulerOf([local(), nodeOf('w')]), demandFor())?.node, 'w');
    assert.equal(place(schedulerOf([local(), nodeOf('w', { suspected: true })]), demandFor())?.node, 'c');
    assert.equal(place(schedulerOf([local(), nodeOf('w', { stepTypes: new Set() })]), demandFor())?.node, 'c');
    const busy = schedulerOf([local(), nodeOf('w', { slots: 1 })]);
    assert.equal(place(busy, demandFor())?.node, 'w');
    assert.equal(place(busy, demandFor()), undefined, 'a busy worker is waited for');
    const always = schedulerOf([local(), nodeOf('w', { running: 0 })], 'always');
    const both = new Set([place(always, demandFor())?.node, place(always, demandFor())?.node]);
    assert.deepEqual(both, new Set(['c', 'w']));
    const never = schedulerOf([local()], 'never');
    assert.equal(place(never, demandFor()), undefined);
    assert.match([...never.unschedulable()][0]?.why ?? '', /c may not run steps itself \(local steps are off\)/);
  });

  it('on the coordinator alone where the workflow is not distributed', () => {
    const demand = demandFor({}, { distributed: false });
    const scheduler = schedulerOf([nodeOf('w'), nodeOf('c', { local: true })]);
    assert.equal(place(scheduler, demand)?.node, 'c');
    const without = schedulerOf([nodeOf('w')]);
    assert.equal(place(without, demand), undefined);
    assert.match([...without.unschedulable()][0]?.why ?? '', /not distributed, so only the coordinator may run it/);
  });

  it('never on a suspected node, which comes back when it answers', () => {
    const scheduler = schedulerOf([nodeOf('w')]);
    scheduler.suspect('w', true);
    assert.equal(place(scheduler, demandFor()), undefined);
    assert.match([...scheduler.waiting('r', 9)][0]?.why ?? '', /w is suspected to be down/);
    scheduler.suspect('w', false);
    assert.equal(scheduler.next()?.node, 'w');
  });
});

describe('where a step had better run', () => {
  const nodes = () => [
    nodeOf('cpu', { total: { cpu_cores: 32, ram_mb: 1_000 }, latencyMs: 40 }),
    nodeOf('mem', { total: { cpu_cores: 2, ram_mb: 200_000 }, latencyMs: 40 }),
    nodeOf('near', {
      total: { cpu_cores: 2, ram_mb: 1_000 },
      latencyMs: 0.5,
      adapters: new Set(['transform', 'quantum']),
    }),
    nodeOf('eu', { labels: { zone: 'eu' }, latencyMs: 40 }),
  ];

  it('follows every form of node_preference', () => {
    const wishes: [NonNullable<Step['node_preference']>, string, RegExp][] = [
      ['cpu', 'cpu', /is cpu, as preferred/],
      ['quantum_capable', 'near', /is quantum_capable, as preferred/],
      ['zone=eu', 'eu', /is zone=eu, as preferred/],
      [{ prefer: 'mem' }, 'mem', /is mem, as preferred/],
      ['high_compute', 'cpu', /ranked by high_compute/],
      ['high_memory', 'mem', /ranked by high_memory/],
      ['low_latency', 'near', /ranked by low_latency/],
      [{ require_node: 'eu', prefer: 'cpu' }, 'eu', /the only node/],
    ];
    for (const [node_preference, expected, why] of wishes) {
      const placed = place(schedulerOf(nodes()), demandFor({ node_preference }));
      assert.equal(placed?.node, expected, JSON.stringify(node_preference));
      assert.match(placed?.reason.text ?? '', why);
    }
  });

  it('is a wish, not a condition', () => {
    for (const node_preference of ['nobody', 'gpu_capable', 'zone=mars', 'high_hopes']) {
      const placed = place(schedulerOf([nodeOf('a')]), demandFor({ node_preference }));
      assert.equal(placed?.node, 'a');
      assert.match(placed?.reason.text ?? '', new RegExp(`no room on a node that is ${node_preference}`));
    }
    assert.equal(demandFor({ node_preference: 'any' }).shape, demandFor().shape, "'any' is no wish");
  });

  it('spreads load evenly, and prefers the nearer of two that are alike', () => {
    const scheduler = schedulerOf([nodeOf('a'), nodeOf('b'), nodeOf('c')]);
    for (let step = 0; step < 9; step++) scheduler.enqueue({ run: 'r', step, demand: demandFor() });
    drain(scheduler);
    assert.deepEqual(
      [...scheduler.nodes()].map(({ running }) => running),
      [3, 3, 3],
    );
    const near = schedulerOf([nodeOf('far', { latencyMs: 80 }), nodeOf('near', { latencyMs: 2 })]);
    const placed = place(near, demandFor());
    assert.equal(placed?.node, 'near');
    assert.match(placed?.reason.text ?? '', /2\.0 ms away/);
    assert.deepEqual(Object.keys(placed?.reason.parts ?? {}).sort(), ['latency', 'load', 'preference']);
  });
});

describe('room', () => {
  it('is taken and given back', () => {
    const scheduler = schedulerOf([nodeOf('w', { total: { ram_mb: 1_000 } })]);
    const demand = demandFor({ resource_requirements: { ram_mb: 600 } });
    assert.equal(place(scheduler, demand)?.node, 'w');
    assert.equal(place(scheduler, demand), undefined);
    assert.match([...scheduler.waiting('r', 9)][0]?.why ?? '', /w has 400 ram_mb free of 1000, the step needs 600/);
    assert.deepEqual(freeOf(scheduler.node('w') ?? nodeOf('x')), { ram_mb: 400 });
    scheduler.release('w', demand);
    assert.equal(scheduler.next()?.node, 'w');
    scheduler.release('w', demand);
    assert.throws(() => scheduler.release('w', demand), { code: 'INTERNAL' });
  });

  it('stays accounted when a node changes what it offers, and is forgotten with the node', () => {
    const demand = demandFor({ resource_requirements: { ram_mb: 600 } });
    const scheduler = schedulerOf([nodeOf('w', { total: { ram_mb: 1_000 }, slots: 1 })]);
    place(scheduler, demand);
    scheduler.setNode(nodeOf('w', { total: { ram_mb: 1_100 }, slots: 2 }));
    assert.equal(place(scheduler, demand), undefined, '500 are left');
    scheduler.setNode(nodeOf('w', { total: { ram_mb: 1_200 }, slots: 2 }));
    assert.equal(scheduler.next()?.node, 'w');
    scheduler.removeNode('w');
    scheduler.release('w', demand);
    scheduler.setNode(nodeOf('w', { slots: 1 }));
    scheduler.reserve('w', demand);
    assert.equal(place(scheduler, demand), undefined, 'reserved room is taken');
  });

  it('that nobody could ever have is explained node by node', () => {
    const scheduler = schedulerOf([
      nodeOf('a', { total: { qubits: 2 } }),
      nodeOf('b', { stepTypes: new Set(['other']) }),
    ]);
    const demand = demandFor({ resource_requirements: { qubits: 8 } });
    assert.equal(place(scheduler, demand), undefined);
    const [hopeless, ...more] = [...scheduler.unschedulable()];
    assert.equal(more.length, 0);
    assert.deepEqual(hopeless?.runs, ['r']);
    assert.equal(
      hopeless?.why,
      'a has 2 qubits, the step needs 8; b offers no adapter for t and has 0 qubits, the step needs 8',
    );
    assert.match([...schedulerOf([]).unschedulable()].join(), /^$/);
    scheduler.setNode(nodeOf('c', { total: { qubits: 8 } }));
    assert.deepEqual([...scheduler.unschedulable()], []);
    assert.equal(scheduler.next()?.node, 'c');
  });
});

describe('turns', () => {
  it('are taken by runs, so that a long one does not hold up a short one', () => {
    const scheduler = schedulerOf([nodeOf('w', { slots: 1 })]);
    const demand = demandFor();
    for (let step = 0; step < 1_000; step++) scheduler.enqueue({ run: 'long', step, demand });
    for (let step = 0; step < 3; step++) scheduler.enqueue({ run: 'short', step, demand });
    const order: string[] = [];
    for (let n = 0; n < 6; n++) {
      order.push(scheduler.next()?.ready.run ?? '-');
      scheduler.release('w', demand);
    }
    assert.deepEqual(order, ['long', 'short', 'long', 'short', 'long', 'short']);
  });

  it('are taken by shapes, so that a crowd of one kind does not starve another', () => {
    const scheduler = schedulerOf([nodeOf('w', { slots: 1, stepTypes: new Set(['t', 'u']) })]);
    for (let step = 0; step < 100; step++) scheduler.enqueue({ run: 'r', step, demand: demandFor() });
    scheduler.enqueue({ run: 'r', step: 100, demand: demandFor({ type: 'u' }) });
    scheduler.next();
    scheduler.release('w', demandFor());
    assert.equal(scheduler.next()?.ready.step, 100);
  });

  it('of a run that was dropped pass over', () => {
    const scheduler = schedulerOf([nodeOf('w', { slots: 100 })]);
    for (let step = 0; step < 5; step++)
      for (const run of ['x', 'y']) scheduler.enqueue({ run, step, demand: demandFor() });
    scheduler.dropRun('x');
    assert.equal(scheduler.readyCount, 5);
    scheduler.enqueue({ run: 'x', step: 9, demand: demandFor() });
    assert.deepEqual(
      drain(scheduler)
        .map(({ ready }) => `${ready.run}${ready.step}`)
        .sort(),
      ['x9', 'y0', 'y1', 'y2', 'y3', 'y4'],
    );
  });
});

it('the cost of a placement does not grow with nodes and waiting steps', () => {
  const looksPerPlacement = (nodes: number, waiting: number): number => {
    let looks = 0;
    const scheduler = new Scheduler();
    for (let n = 0; n < nodes; n++) {
      const { suspected: _, ...node } = nodeOf(`n${n}`, { slots: 2 });
      let suspected = false;
      const counted = {
        ...node,
        get suspected() {
          looks += 1;
          return suspected;
        },
        set suspected(value: boolean) {
          suspected = value;
        },
      };
      scheduler.setNode(counted);
    }
    for (let step = 0; step < waiting; step++) scheduler.enqueue({ run: `r${step % 7}`, step, demand: demandFor() });
    // What the first look at each node costs is paid once for all placements.
    scheduler.next();
    looks = 0;
    const placed = drain(scheduler).length;
    for (let ended = 0; ended < 200; ended++) {
      scheduler.release(`n${ended % nodes}`, demandFor());
      assert.equal(scheduler.next()?.node, `n${ended % nodes}`);
    }
    return looks / (placed + 200);
  };
  const small = looksPerPlacement(10, 1_000);
  const large = looksPerPlacement(1_000, 10_000);
  assert.ok(large <= 3 * small + 20, `${large} looks a placement with 1,000 nodes, ${small} with 10`);
});

it('whatever comes, no node is over-committed and nothing that has room is left waiting', () => {
  const amount = fc.option(fc.nat(8), { nil: undefined });
  const nodes = fc.array(
    fc.record({
      slots: fc.integer({ min: 1, max: 4 }),
      ram: amount,
      qubits: amount,
      types: fc.subarray(['t', 'u']),
      zone: fc.constantFrom('eu', 'us'),
      local: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  );
  const acts = fc.array(
    fc.record({
      act: fc.constantFrom('enqueue', 'enqueue', 'release', 'suspect', 'trust', 'remove', 'return'),
      pick: fc.nat(1_000),
      ram: fc.nat(9),
      qubits: fc.nat(3),
      wish: fc.constantFrom(undefined, 'n1', 'zone=eu', 'high_memory'),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(nodes, acts, fc.constantFrom<LocalSteps>('auto', 'always', 'never'), (specs, commands, localSteps) => {
      const make = (index: number): SchedulerNode => {
        const { slots, ram, qubits, types, zone, local } = specs[index % specs.length] ?? assert.fail();
        const total = Object.fromEntries(
          Object.entries({ ram_mb: ram, qubits }).filter((entry): entry is [string, number] => entry[1] !== undefined),
        );
        return nodeOf(`n${index}`, {
          slots,
          total,
          stepTypes: new Set(types),
          labels: { zone },
          local: local && index === 0,
        });
      };
      const scheduler = schedulerOf(
        specs.map((_, index) => make(index)),
        localSteps,
      );
      const waiting: Demand[] = [];
      let running: { node: string; demand: Demand }[] = [];
      for (const [step, { act, pick, ram, qubits, wish }] of commands.entries()) {
        const id = `n${pick % specs.length}`;
        if (act === 'enqueue') {
          const demand = demandFor({
            type: pick % 3 === 0 ? 'u' : 't',
            resource_requirements: { ram_mb: ram, qubits },
            ...(wish === undefined ? {} : { node_preference: wish }),
          });
          waiting.push(demand);
          scheduler.enqueue({ run: `r${pick % 4}`, step, demand });
        } else if (act === 'release') {
          const [ended] = running.splice(pick % Math.max(1, running.length), 1);
          if (ended !== undefined) scheduler.release(ended.node, ended.demand);
        } else if (act === 'remove') {
          scheduler.removeNode(id);
          running = running.filter(({ node }) => node !== id);
        } else if (act === 'return') scheduler.setNode(make(pick % specs.length));
        else scheduler.suspect(id, act === 'suspect');
        for (const { node, ready } of drain(scheduler)) {
          assert.deepEqual(lacks(scheduler.node(node) ?? assert.fail(), ready.demand), []);
          assert.ok(!scheduler.node(node)?.suspected);
          running.push({ node, demand: ready.demand });
          waiting.splice(waiting.indexOf(ready.demand), 1);
        }
        for (const node of scheduler.nodes()) {
          const here = running.filter((one) => one.node === node.id);
          assert.equal(node.running, here.length);
          assert.ok(node.running <= node.slots, 'no more steps than slots');
          for (const [name, total] of Object.entries(node.total)) {
            const used = here.reduce((sum, { demand }) => sum + (demand.resources[name] ?? 0), 0);
            assert.equal(node.used[name] ?? 0, used);
            assert.ok(used <= total, `${name} is not over-committed`);
          }
        }
        assert.equal(scheduler.readyCount, waiting.length);
        for (const demand of waiting) {
          const able = [...scheduler.nodes()].filter((node) => lacks(node, demand).length === 0);
          const remote = able.filter(({ local }) => !local);
          const useLocal = localSteps === 'always' || (localSteps === 'auto' && remote.every((node) => node.suspected));
          const open = (useLocal ? able : remote).filter((node) => hasRoom(node, demand));
          assert.deepEqual(open, [], 'what waits has room nowhere');
        }
      }
    }),
    { seed: 5, numRuns: 200 },
  );
});
