import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stepTypes } from '../../../test/workflow/step-types.ts';
import { ValidationError } from '../../lib/validation-error.ts';
import { checkedWorkflow, validateWorkflow } from './validate.ts';

/** A workflow of one line for each step; the first one stands on line 2. */
const source = (...steps: string[]): string => `{ "workflow": "w", "steps": [\n${steps.join(',\n')}\n] }`;
const a = '{ "id": "a", "type": "any" }';

test('limits: bytes, steps, problems', () => {
  const large = validateWorkflow(' '.repeat(32 * 1024 * 1024 + 1));
  assert.deepEqual(
    large.problems.map(({ code }) => code),
    ['TOO_LARGE'],
  );
  const many = {
    workflow: 'w',
    steps: Array.from({ length: 100_001 }, (_, index) => ({ id: `s${index}`, type: 't' })),
  };
  assert.deepEqual(
    validateWorkflow(many).problems.map(({ code, path }) => [code, path]),
    [['TOO_LARGE', 'steps']],
  );
  const bad = { workflow: 'w', steps: Array.from({ length: 3000 }, () => 1) };
  const { problems } = validateWorkflow(bad);
  assert.equal(problems.length, 1001);
  assert.equal(problems.at(-1)?.code, 'TOO_MANY_PROBLEMS');
  const warned = {
    workflow: 'w',
    steps: [
      { id: 'a', type: 't' },
      { id: 'b', type: 't', parent_step_ids: Array(3000).fill('a') },
    ],
  };
  assert.ok(validateWorkflow(warned).workflow, 'any number of warnings leaves a workflow valid');
});

test('objects that JSON cannot carry are refused, not repaired', () => {
  const circular: Record<string, unknown> = { workflow: 'w', steps: [] };
  circular.self = circular;
  // Shares its parts, so that it has 2^60 leaves.
  let shared: unknown = 1;
  for (let level = 0; level < 60; level++) shared = [shared, shared];
  const throwing = Object.defineProperty({}, 'workflow', { enumerable: true, get: () => assert.fail('secret') });
  for (const [value, code] of [
    [circular, 'TOO_DEEP'],
    [{ workflow: 'w', steps: shared }, 'TOO_LARGE'],
    [throwing, 'NOT_I_JSON'],
    [{ workflow: 'w', steps: [{ id: 'a', type: 't', params: { when: new Date(0) } }] }, 'NOT_I_JSON'],
    [{ workflow: 'w', steps: [{ id: 'a', type: 't', params: { f: () => 1 } }] }, 'NOT_I_JSON'],
    [{ workflow: 'w', steps: [{ id: 'a', type: 't', params: { n: 1n } }] }, 'NOT_I_JSON'],
    [{ workflow: 'w', steps: [{ id: 'a', type: 't', params: { n: Number.NaN } }] }, 'NOT_I_JSON'],
    // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested.
    [{ workflow: 'w', steps: [{ id: 'a', type: 't', params: { list: [, 1] } }] }, 'NOT_I_JSON'],
    [undefined, 'NOT_I_JSON'],
    [new Map(), 'NOT_I_JSON'],
  ] as const) {
    const { workflow, problems } = validateWorkflow(value);
    assert.equal(workflow, undefined);
    assert.equal(problems[0]?.code, code);
    assert.doesNotMatch(JSON.stringify(problems), /secret/);
  }
});

test('the workflow is a copy; undefined members are left out', () => {
  const source = { workflow: 'w', version: undefined, steps: [{ id: 'a', type: 't', params: { list: [1] } }] };
  const { workflow } = validateWorkflow(source);
  source.steps[0]?.params.list.push(2);
  assert.deepEqual(workflow, { workflow: 'w', steps: [{ id: 'a', type: 't', params: { list: [1] } }] });
});

test('a byte order mark is ignored', () => {
  assert.deepEqual(validateWorkflow(`\uFEFF${source(a)}`).problems, []);
});

test('references satisfy any schema of params', () => {
  const steps = (type: string, params: unknown) => ({
    workflow: 'w',
    steps: [
      { id: 'b', type: 'any' },
      { id: 'c', type, params },
    ],
  });
  for (const [type, params] of [
    ['strict', { input: '$b.rows', mode: '$b.mode', limit: '$input.limit', name: '$b', fields: '$b.fields' }],
    ['strict', { input: ['$b'], mode: 'slow', fields: ['$b.x', 'y'] }],
    ['strict', { input: [], name: 'x-${b.name}', mode: '${b.mode}' }],
    ['strict', { input: [], name: 'vault://names/1' }],
    ['simple', { text: '${b.x}', count: '$b.n' }],
    ['simple', { text: '$b' }],
    ['any', { anything: '$b' }],
  ] as const) {
    assert.deepEqual(validateWorkflow(steps(type, params), { stepTypes }).problems, [], JSON.stringify(params));
  }
  // What is certain is still reported.
  for (const [params, path] of [
    [{ input: '${b.rows}' }, 'steps[1].params.input'],
    [{ input: '$b', limit: 'x' }, 'steps[1].params.limit'],
    [{ input: '$b', fields: 5 }, 'steps[1].params.fields'],
    [{ fields: ['$b'] }, 'steps[1].params.input'],
  ] as const) {
    const { problems } = validateWorkflow(steps('strict', params), { stepTypes });
    assert.deepEqual(
      problems.map((problem) => problem.path),
      [path],
      JSON.stringify(params),
    );
  }
});

test('checkedWorkflow throws one error with all problems', () => {
  assert.throws(
    () => checkedWorkflow(source(a, a, '{ "id": "b" }')),
    (thrown) => {
      assert.ok(thrown instanceof ValidationError);
      assert.equal(thrown.code, 'INVALID_WORKFLOW');
      assert.equal(thrown.problems.length, 2);
      assert.equal(
        thrown.message,
        'the workflow is invalid: line 3, column 9, steps[1].id: steps[0] has the id "a" already (and 1 more)',
      );
      assert.equal(thrown.hint, 'Give each step an id of its own.');
      return true;
    },
  );
  assert.equal(checkedWorkflow(source(a)).steps.length, 1);
});
