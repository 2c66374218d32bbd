// Bad input of every kind: always problems, never an exception, a hang or a wrong yes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planWorkflow } from '../../src/core/workflow/plan.ts';
import { findReferences, resolveParams } from '../../src/core/workflow/references.ts';
import { validateWorkflow } from '../../src/core/workflow/validate.ts';
import { canonicalize } from '../../src/lib/canonical.ts';
import { isObject, type JSONObject } from '../../src/lib/json.ts';
import { dag } from './random.ts';
import { stepTypes } from './step-types.ts';

/** What holds for every source. */
function examine(source: unknown): void {
  const { workflow, problems } = validateWorkflow(source, { stepTypes });
  assert.equal(
    workflow === undefined,
    problems.some(({ severity }) => severity === 'error'),
  );
  for (const { message, path, line, column } of problems) {
    assert.ok(message !== '' && path !== '');
    assert.ok(message.length < 2_000);
    assert.ok(line === undefined || (line >= 1 && column !== undefined && column >= 1));
  }
  if (workflow === undefined) return;
  // What was accepted can be planned and hashed, always.
  planWorkflow(workflow);
}

const seedText = JSON.stringify(
  {
    workflow: 'w',
    consensus: { required: false },
    steps: [
      { id: 'a', type: 'any', params: { x: [1, 'ü', null] } },
      { id: 'b', type: 'strict', params: { input: '$a.result', fields: { y: 'z' } }, parent_step_ids: ['a'] },
      { id: 'c', type: 'simple', params: { text: 'n: ${b.count}' }, node_preference: { prefer: 'any' } },
    ],
  },
  null,
  2,
);

test('any text', () => {
  const tokens = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    '\\',
    '//',
    '/*',
    '*/',
    '\n',
    '1',
    '-',
    'e',
    'true',
    'null',
    '"a"',
    '$',
    ' ',
  );
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: tokens, maxLength: 60 })),
      examine,
    ),
    { seed: 31, numRuns: 3_000 },
  );
});

test('a sound source with bytes cut out, doubled or replaced', () => {
  const edit = fc.record({ at: fc.nat(seedText.length), drop: fc.nat(3), put: fc.string({ maxLength: 3 }) });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      let text = seedText;
      for (const { at, drop, put } of edits) text = text.slice(0, at) + put + text.slice(at + drop);
      examine(text);
    }),
    { seed: 32, numRuns: 2_000 },
  );
});

test('syntax errors are found exactly where JSON.parse refuses the text', () => {
  fc.assert(
    fc.property(
      fc.nat(seedText.length - 1),
      fc.constantFrom('', ',', '"', '}', ']', ':', '1', 'x', '\u0000', '\\'),
      (at, put) => {
        const text = seedText.slice(0, at) + put + seedText.slice(at + 1);
        let parses = true;
        try {
          JSON.parse(text);
        } catch {
          parses = false;
        }
        const syntax = validateWorkflow(text).problems.some(({ code }) => code === 'SYNTAX');
        assert.equal(syntax, !parses);
      },
    ),
    { seed: 33, numRuns: 2_000 },
  );
});

test('any value, and any value in place of a part of a workflow', () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSparseArray: true,
    withNullPrototype: true,
  });
  fc.assert(fc.property(anything, examine), { seed: 34, numRuns: 1_000 });
  fc.assert(
    fc.property(fc.nat(), anything, (pick, value) => {
      const workflow = JSON.parse(seedText);
      const places: [Record<string, unknown>, string][] = [];
      const collect = (node: unknown): void => {
        if (typeof node !== 'object' || node === null) return;
        for (const key of Object.keys(node)) {
          places.push([node as Record<string, unknown>, key]);
          collect((node as Record<string, unknown>)[key]);
        }
      };
      collect(workflow);
      const [holder, key] = places[pick % places.length] as [Record<string, unknown>, string];
      holder[key] = value;
      examine(workflow);
    }),
    { seed: 35, numRuns: 2_000 },
  );
});

/** Each breaks a sound workflow in its own way. */
const mutations: Record<string, (step: Record<string, unknown>, steps: Record<string, unknown>[]) => void> = {
  'an unknown field': (step) => Object.assign(step, { zzz: 1 }),
  'no id': (step) => delete step.id,
  'no type': (step) => delete step.type,
  'a number as id': (step) => Object.assign(step, { id: 5 }),
  'a step twice': (step, steps) => steps.push({ ...step }),
  'a missing parent': (step) => Object.assign(step, { parent_step_ids: ['nobody'] }),
  'itself as parent': (step) => Object.assign(step, { parent_step_ids: [step.id] }),
  'a reference to nothing': (step) => Object.assign(step, { params: { x: { y: ['$nobody.z'] } } }),
  'a malformed reference': (step) => Object.assign(step, { params: { x: '${..}' } }),
  'a list as params': (step) => Object.assign(step, { params: [1] }),
  'an unknown type': (step) => Object.assign(step, { type: 'nothing' }),
  'no step at all': (_step, steps) => steps.push(null as never),
  'a negative resource': (step) => Object.assign(step, { resource_requirements: { ram_mb: -1 } }),
  'a lone surrogate': (step) => Object.assign(step, { params: { x: '\udc00' } }),
  'a cycle': (step, steps) => {
    steps.push({ id: 'extra', type: 'any', parent_step_ids: [step.id] });
    step.params = { x: '$extra' };
  },
};

for (const [name, mutate] of Object.entries(mutations)) {
  test(`${name} in a random workflow is reported`, () => {
    fc.assert(
      fc.property(dag, fc.nat(), (workflow, pick) => {
        const steps = workflow.steps as unknown as Record<string, unknown>[];
        const step = steps[pick % steps.length] as Record<string, unknown>;
        mutate(step, steps);
        for (const source of [workflow, JSON.stringify(workflow)]) {
          const { workflow: accepted, problems } = validateWorkflow(source, { stepTypes });
          assert.equal(accepted, undefined);
          assert.ok(problems.length > 0);
        }
      }),
      { seed: 36, numRuns: 60 },
    );
  });
}

test('an accepted workflow is the source, canonically', () => {
  fc.assert(
    fc.property(dag, (workflow) => {
      const { workflow: accepted } = validateWorkflow(JSON.stringify(workflow, null, '\t'), { stepTypes });
      assert.equal(canonicalize(accepted), canonicalize(workflow));
    }),
    { seed: 37, numRuns: 100 },
  );
});

test('resolving any params never touches a prototype and fails only by type', () => {
  const text = fc.string({
    unit: fc.constantFrom('$', '{', '}', 'a', '.', '[0]', '["__proto__"]', '__proto__', 'constructor', 'input', ' '),
  });
  const params = fc.dictionary(
    fc.string(),
    fc.oneof(text, fc.array(text), fc.dictionary(fc.constantFrom('__proto__', 'a'), text)),
  );
  const output = JSON.parse('{"a":[{"__proto__":{"x":1}},{"a":2}],"__proto__":["p"]}');
  fc.assert(
    fc.property(params, (value) => {
      for (const { stepId } of findReferences(value)) assert.ok(stepId === null || stepId !== '');
      try {
        const resolved = resolveParams(value as JSONObject, { output: () => output, input: output });
        assert.ok(isObject(resolved));
      } catch (thrown) {
        assert.ok(['REFERENCE_FAILED', 'LIMIT_EXCEEDED'].includes((thrown as { code: string }).code), String(thrown));
      }
      assert.equal(({} as { x?: number }).x, undefined);
    }),
    { seed: 38, numRuns: 2_000 },
  );
});

test('long hostile sources end', () => {
  const size = 2_000_000;
  for (const text of [
    '['.repeat(size),
    '{"a":'.repeat(size / 5),
    '"\n'.repeat(size / 2),
    '{]'.repeat(size / 2),
    '/*'.repeat(size / 2),
    '{"k":1,'.repeat(size / 7),
    `{${'"k":1,'.repeat(size / 6)}"k":1}`,
    `{"steps":[${'1,'.repeat(size / 2)}1]}`,
    `{"workflow":"w","steps":[{"id":"a","type":"any","params":{"x":"${'${a.'.repeat(size / 4)}"}}]}`,
    `{"workflow":"w","steps":[{"id":"a","type":"any","params":{"x":"$a${'[0]'.repeat(size / 3)}!"}}]}`,
    `{"workflow":"w","steps":[{"id":"a","type":"strict","params":{"input":[${'1,'.repeat(size / 2)}1],"name":"${'a'.repeat(size)}"}}]}`,
  ]) {
    examine(text);
  }
});
