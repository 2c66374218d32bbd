import fc from 'fast-check';
import type { Step, Workflow } from '../../src/protocol/workflow.ts';

/** One dependency of a step: how it is written, and on which of the earlier steps. */
const dependency = fc.record({
  on: fc.nat(),
  how: fc.constantFrom('parent', 'whole', 'nested', 'interpolated', 'both'),
});

/** Random DAGs whose steps stand in random order, with dependencies written in every way there is. */
export const dag: fc.Arbitrary<Workflow> = fc
  .record({
    steps: fc.array(fc.array(dependency, { maxLength: 4 }), { minLength: 1, maxLength: 30 }),
    order: fc.array(fc.nat(), { minLength: 30, maxLength: 30 }),
  })
  .map(({ steps, order }) => {
    const made = steps.map((dependencies, index): Step => {
      const step: Step & { params: Record<string, unknown>; parent_step_ids: string[] } = {
        id: `step_${index}`,
        type: 'any',
        params: {},
        parent_step_ids: [],
      };
      dependencies.forEach(({ on, how }, place) => {
        if (index === 0) return;
        const id = `step_${on % index}`;
        if ((how === 'parent' || how === 'both') && !step.parent_step_ids.includes(id)) step.parent_step_ids.push(id);
        if (how === 'whole' || how === 'both') step.params[`p${place}`] = `$${id}.result`;
        if (how === 'nested') step.params[`p${place}`] = { list: [1, { deep: `$${id}["a key"][0]` }] };
        if (how === 'interpolated') step.params[`p${place}`] = `text \${${id}.x} more`;
      });
      return step;
    });
    const shuffled = made.map((step, index) => ({ step, key: order[index] ?? 0 })).sort((a, b) => a.key - b.key);
    return { workflow: 'random', steps: shuffled.map(({ step }) => step) };
  });
