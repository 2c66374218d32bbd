// The examples of docs/workflow-language.md do what the page says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createTransformAdapter } from '../../src/adapters/transform/adapter.ts';
import { resolveParams } from '../../src/core/workflow/references.ts';
import { validateWorkflow } from '../../src/core/workflow/validate.ts';
import type { JSONValue } from '../../src/lib/json.ts';
import { problemCodes } from '../../src/lib/validation-error.ts';
import { Workflow } from '../../src/protocol/workflow.ts';

const page = readFileSync(new URL('../../docs/workflow-language.md', import.meta.url), 'utf8');
const stepTypes = new Map(
  createTransformAdapter()
    .getManifest()
    .step_types.map((stepType) => [stepType.type, stepType]),
);
const blocks = [...page.matchAll(/(<!-- (\w+) -->\n)?```(json|text)\n(.*?)```/gs)].map(
  ([, , mark, language, body = '']) => ({ mark, language, body }),
);

test('every workflow on the page is valid, but for the one that is not', () => {
  const workflows = blocks.filter(({ language, mark }) => language === 'json' && mark === undefined);
  assert.ok(workflows.length >= 3);
  for (const { body } of workflows) assert.deepEqual(validateWorkflow(body, { stepTypes }).problems, []);
});

test('the invalid workflow has the problems that are shown', () => {
  const invalid = blocks.find(({ mark }) => mark === 'invalid');
  const shown = blocks.find(({ mark }) => mark === 'problems');
  const { problems } = validateWorkflow(invalid?.body, { stepTypes });
  const lines = problems.map(
    ({ line, column, severity, code, path, message, suggestion }) =>
      `${line}:${column} ${severity} ${code} ${path}\n    ${message}${suggestion === undefined ? '' : `\n    ${suggestion}`}\n`,
  );
  assert.equal(shown?.body, lines.join(''));
});

test('every problem code and every field is on the page', () => {
  for (const code of problemCodes) assert.ok(page.includes(`\`${code}\``), code);
  const { properties } = JSON.parse(JSON.stringify(Workflow));
  const { items } = properties.steps;
  for (const field of [
    ...Object.keys(properties),
    ...Object.keys(items.properties),
    ...Object.keys(items.properties.resource_requirements.properties),
    ...Object.keys(properties.fault_tolerance.properties),
  ]) {
    assert.ok(page.includes(`\`${field}\``) || page.includes(`\`"${field}"\``), field);
  }
});

test('the table of references holds', () => {
  const load = { rows: [{ name: 'Ada' }, { name: 'Bo' }], 'first name': 'Cy', result: 7 };
  const becomes: Record<string, JSONValue> = {
    $load: load,
    '$load.rows': load.rows,
    '$load.rows[0].name': 'Ada',
    '$load.rows.name': ['Ada', 'Bo'],
    '$load["first name"]': 'Cy',
    '$load.result': 7,
    '$input.city': 'Rome',
    'Hello ${load.rows[0].name}': 'Hello Ada',
    $$load: '$load',
    'costs $${x}': 'costs ${x}',
  };
  const section = page.slice(page.search(/^\| written /m), page.indexOf('The rule that decides'));
  const written = [...section.matchAll(/^\| `(".*?")` +\|/gm)].map(([, literal = '']) => JSON.parse(literal) as string);
  assert.deepEqual(written, Object.keys(becomes));
  const lookup = { output: () => load, input: { city: 'Rome' } };
  for (const source of written) assert.deepEqual(resolveParams({ v: source }, lookup).v, becomes[source]);
});
