import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MemoryDisk, MemoryStore } from '../store/memory/memory-store.ts';
import { Plans, startEvent } from './submission.ts';
import { Values } from './values.ts';

const types = new Map([['any', { type: 'any' }]]);
const workflow = (name: string, description = '') => ({
  workflow: name,
  description,
  steps: [{ id: 'a', type: 'any' }],
});

it('plans are remembered by their workflow, however it was given', () => {
  const plans = new Plans();
  const plan = plans.checked(workflow('w'), types);
  assert.equal(plans.checked(workflow('w'), types), plan);
  assert.notEqual(plans.checked(workflow('w'), new Map(types)), plan, 'checked again against other step types');
  plans.checked(JSON.stringify(workflow('w'), null, 2), types);
  assert.equal(plans.size.plans, 1);
});

it('a plan holds what adapters say that its steps need, also where it is made anew after a restart', async () => {
  const plans = new Plans(({ type }) => (type === 'any' ? { qubits: 3 } : {}));
  const plan = await plans.prepared(plans.checked(workflow('w'), types));
  assert.deepEqual(plan.steps[0]?.requirements, { qubits: 3 });
  const restarted = new Plans(async () => ({ qubits: 3 }));
  const again = await restarted.prepared(restarted.trusted(plan.workflow, plan.digest));
  assert.deepEqual(again.steps[0]?.requirements, { qubits: 3 });
});

it('at most 200 plans are remembered', () => {
  const plans = new Plans();
  for (let each = 0; each < 210; each++) plans.checked(workflow(`w${each}`), types);
  assert.equal(plans.size.plans, 200);
});

it('large workflows are remembered up to a total length, the newest first', () => {
  const plans = new Plans();
  const large = (each: number) => workflow(`w${each}`, 'x'.repeat(20 * 1024 * 1024));
  for (let each = 0; each < 5; each++) {
    const source = large(each);
    const plan = each % 2 === 0 ? plans.checked(JSON.stringify(source), types) : plans.checked(source, types);
    assert.equal(plans.trusted(plan.workflow, plan.digest), plan);
  }
  const { plans: count, length } = plans.size;
  assert.equal(count, 3);
  assert.ok(length <= 64 * 1024 * 1024 && length > 60 * 1024 * 1024, `${length}`);
});

it('a step with more parents than a message can name is refused when it is submitted', async () => {
  const fan = (parents: number) => ({
    workflow: 'fan',
    steps: [
      ...Array.from({ length: parents }, (_, index) => ({ id: `p${index}`, type: 'any' })),
      { id: 'all', type: 'any', parent_step_ids: Array.from({ length: parents }, (_, index) => `p${index}`) },
    ],
  });
  const plans = new Plans();
  const values = new Values(new MemoryStore({ disk: new MemoryDisk() }));
  await startEvent({ workflow: {} }, plans.checked(fan(20_000), types), values, 0);
  await assert.rejects(startEvent({ workflow: {} }, plans.checked(fan(20_001), types), values, 0), {
    code: 'LIMIT_EXCEEDED',
    message: /step all waits for 20001 others/,
  });
});
