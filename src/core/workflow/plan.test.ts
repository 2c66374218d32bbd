import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { dag } from '../../../test/workflow/random.ts';
import { digestOf } from '../../lib/canonical.ts';
import { planWorkflow } from './plan.ts';
import { checkedWorkflow, validateWorkflow } from './validate.ts';

test('random DAGs are accepted, and parents come before children', () => {
  fc.assert(
    fc.property(dag, (workflow) => {
      assert.deepEqual(validateWorkflow(JSON.stringify(workflow)).problems, []);
      const plan = planWorkflow(workflow);
      const place = new Map(plan.order.map((index, at) => [index, at]));
      assert.equal(place.size, workflow.steps.length);
      for (const { index, step, parents, children } of plan.steps) {
        assert.equal(plan.byId.get(step.id)?.index, index);
        assert.deepEqual(
          parents,
          [...new Set(parents)].sort((a, b) => a - b),
        );
        for (const parent of parents) {
          assert.ok((place.get(parent) ?? 0) < (place.get(index) ?? 0));
          assert.ok(plan.steps[parent]?.children.includes(index));
        }
        for (const child of children) assert.ok(plan.steps[child]?.parents.includes(index));
        const named = JSON.stringify([step.params, step.parent_step_ids]).match(/step_\d+/g) ?? [];
        const expected = new Set(named.map((id) => plan.byId.get(id)?.index));
        assert.deepEqual(new Set(parents), expected);
      }
    }),
    { seed: 21, numRuns: 300 },
  );
});

test('an edge back makes a cycle that is named step by step', () => {
  fc.assert(
    fc.property(dag, fc.nat(), (workflow, pick) => {
      const plan = planWorkflow(workflow);
      const child = plan.steps[pick % plan.steps.length];
      const parent = plan.steps[child?.parents[0] ?? -1];
      if (child === undefined || parent === undefined) return;
      parent.step.params = { ...parent.step.params, back: `$${child.step.id}` };
      const { problems } = validateWorkflow(workflow);
      assert.deepEqual(
        problems.map(({ code }) => code),
        ['CYCLE'],
      );
      const names = (problems[0]?.message ?? '').replace(/^.*: /, '').replace(/;.*$/, '').split(' → ');
      assert.equal(names[0], names.at(-1));
      assert.ok(names.length >= 3);
      // Each step really waits for the next one.
      for (const [index, name] of names.slice(0, -1).entries()) {
        const step = workflow.steps.find(({ id }) => id === name);
        assert.match(JSON.stringify([step?.params, step?.parent_step_ids]), new RegExp(`\\b${names[index + 1]}\\b`));
      }
    }),
    { seed: 22, numRuns: 200 },
  );
});

test('declared and implied parents count once', () => {
  const { steps, order } = checkedWorkflow({
    workflow: 'w',
    steps: [
      { id: 'late', type: 't', parent_step_ids: ['b', 'a'], params: { x: '$a', y: ['${b.z}', '$a.q'] } },
      { id: 'a', type: 't' },
      { id: 'b', type: 't', params: { x: '$a.result', z: '$input.a' } },
    ],
  });
  assert.deepEqual(
    steps.map(({ parents, children }) => [parents, children]),
    [
      [[1, 2], []],
      [[], [0, 2]],
      [[1], [0]],
    ],
  );
  assert.deepEqual(order, [1, 2, 0]);
});

test('a chain of 100,000 steps neither overflows the stack nor takes long', () => {
  const steps = Array.from({ length: 100_000 }, (_, index) => ({
    id: `s${index}`,
    type: 't',
    params: index === 0 ? {} : { input: `$s${index - 1}.result` },
  }));
  const plan = checkedWorkflow({ workflow: 'w', steps });
  assert.equal(plan.order.at(-1), 99_999);
  const looped = steps.with(0, { id: 's0', type: 't', params: { input: '$s99999' } });
  const { problems } = validateWorkflow({ workflow: 'w', steps: looped });
  assert.equal(problems.length, 1);
  assert.match(problems[0]?.message ?? '', /^steps wait for each other: s0 → s99999 → .* → \(99980 more\) → s1 → s0$/);
});

test('digests do not depend on how the source is written', () => {
  const { workflow } = validateWorkflow(
    '{"steps":[{"type":"t","params":{"b":1.0,"a":"\\u00e9"},"id":"a"}],"workflow":"w"}',
  );
  assert.equal(
    digestOf(workflow),
    digestOf({ workflow: 'w', steps: [{ id: 'a', type: 't', params: { a: 'é', b: 1 } }] }),
  );
});

// Runs are pinned to these digests: a change here breaks every journal and bundle that exists.
const golden: Record<string, { workflow: string; steps: string[] }> = {
  minimal: {
    workflow: 'b33796977d2d047ffcee075f3bb331a064ca06cd53f39dfaa39d67447c21e368',
    steps: ['73755e9bc168a1696948cb14051d6b768665a25af399846decb11401463bf8ae'],
  },
  orders: {
    workflow: '56a0c2b41a48d31c4bb4009570aff2044c343d37d81ee37a98df542779ca1d61',
    steps: [
      '2617b735df96be69b0435cc8a296e0ef110cc4196178a44bb333a488381a6ff8',
      '1b1f18e82128275ccfe2d5a47e6100129b6a5698e38dae1e802bc15ff1841ed1',
      '55c9e2ae0fd469d18e4212ab3228dd6abb16ce4a2b4ad8658e9ef2251a532e0a',
    ],
  },
  'numbers-and-text': {
    workflow: '6987955d213870a53b9fe1a146307d96942add2d00b7e9170c9545293fdec1c4',
    steps: [
      '08a0b8d3f53c5f811f0fe42a2817b9e06f2d8f7238cf74fa4121fd65396f4968',
      'add42a55aee53fdbd1d2a4c12ee144fcf71861a6b74d27a67561377e30974218',
    ],
  },
};

for (const [name, digests] of Object.entries(golden)) {
  test(`the digests of ${name} stay what they are`, () => {
    const source = readFileSync(new URL(`../../../test/workflow/golden/${name}.json`, import.meta.url), 'utf8');
    const plan = checkedWorkflow(source);
    assert.deepEqual({ workflow: plan.digest, steps: plan.steps.map(({ digest }) => digest) }, digests);
  });
}
