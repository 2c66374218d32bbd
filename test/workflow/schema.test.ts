// The published schema, the validator's own reading of its source, and Ajv's reading of it agree.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { Report } from '../../src/core/workflow/report.ts';
import { checkShape } from '../../src/core/workflow/shape.ts';
import { isObject, type JSONValue } from '../../src/lib/json.ts';
import { Workflow } from '../../src/protocol/workflow.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const published = JSON.parse(readFileSync(`${root}schema/workflow.schema.json`, 'utf8'));

test('the committed schema is what the script writes', () => {
  execFileSync(process.execPath, ['scripts/schema.ts', '--check'], { cwd: root });
});

test('the published schema is sound draft 2020-12 and takes its own examples', () => {
  const validate = new Ajv2020({ strict: false }).compile(published);
  assert.equal(published.$id, 'urn:jsonflow:schema:workflow:1');
  for (const example of published.examples) assert.ok(validate(example), JSON.stringify(validate.errors));
  assert.ok(validate({ workflow: 'w', steps: [{ id: 'a', type: 'my_own_type', params: { x: '$b' } }] }));
  assert.ok(
    validate({ workflow: 'w', steps: [{ id: 'a', type: 'transform_map', params: { input: '$b', fields: '$c' } }] }),
  );
  assert.ok(!validate({ workflow: 'w', steps: [{ id: 'a', type: 'transform_map', params: {} }] }));
  assert.ok(!validate({ workflow: 'w', steps: [{ id: 'a', type: 'any', parms: {} }] }));
});

test('every field of the published schema is described', () => {
  const bare: string[] = [];
  const look = (schema: unknown, path: string): void => {
    if (!isObject(schema)) return;
    for (const [name, field] of Object.entries(isObject(schema.properties) ? schema.properties : {})) {
      if (isObject(field) && typeof field.description !== 'string') bare.push(`${path}.${name}`);
      look(field, `${path}.${name}`);
    }
    look(schema.items, `${path}[]`);
    for (const option of Array.isArray(schema.anyOf) ? schema.anyOf : []) look(option, path);
  };
  look({ ...published, allOf: [] }, '');
  assert.deepEqual(bare, []);
});

test('the schema uses no keyword that the validator does not know', () => {
  const known = new Set(
    'type const anyOf properties required additionalProperties patternProperties items minItems maxItems minLength maxLength pattern minimum maximum description'.split(
      ' ',
    ),
  );
  const look = (schema: unknown): void => {
    if (!isObject(schema)) return;
    for (const keyword of Object.keys(schema)) assert.ok(known.has(keyword), keyword);
    for (const group of [schema.properties, schema.patternProperties]) Object.values(group ?? {}).forEach(look);
    look(schema.items);
    for (const option of Array.isArray(schema.anyOf) ? schema.anyOf : []) look(option);
  };
  look(JSON.parse(JSON.stringify(Workflow)));
});

const junk: fc.Arbitrary<JSONValue> = fc.oneof(
  fc.constantFrom<JSONValue>(0, -1, 0.5, 101, 3_000_000_000, '', '1st', 'no way', true, null, [], {}, [1], { x: 1 }),
  fc.string({ minLength: 120, maxLength: 140 }),
);

/** Values of which most fit the schema. */
function sample(schema: Record<string, unknown>): fc.Arbitrary<JSONValue> {
  return fc.oneof({ weight: 60, arbitrary: fitting(schema) }, { weight: 1, arbitrary: junk });
}

function fitting(schema: Record<string, unknown>): fc.Arbitrary<JSONValue> {
  if (Array.isArray(schema.anyOf)) return fc.oneof(...schema.anyOf.map(sample));
  if (schema.const !== undefined) return fc.constant(schema.const as JSONValue);
  const { minimum = 0, maximum = 10 } = schema as { minimum?: number; maximum?: number };
  switch (schema.type) {
    case 'string':
      return fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_-]{0,3}$/).map((text) => (schema.pattern ? `a${text}` : text));
    case 'boolean':
      return fc.boolean();
    case 'integer':
    case 'number':
      return fc.integer({ min: minimum, max: maximum });
    case 'array':
      return fc.array(sample(schema.items as Record<string, unknown>), { minLength: 1, maxLength: 2 });
    case 'object': {
      const fields = Object.entries((schema.properties ?? {}) as Record<string, Record<string, unknown>>);
      const record = Object.fromEntries(fields.map(([name, field]) => [name, sample(field)]));
      const extra = fc.dictionary(fc.constant('other'), junk, { maxKeys: schema.patternProperties ? 1 : 0 });
      const required = (schema.required ?? []) as string[];
      return fc.tuple(fc.record(record, { requiredKeys: required }), extra, fc.nat(200)).map(([value, more, dice]) => ({
        ...value,
        ...more,
        ...(dice === 0 ? { unknown: 1 } : {}),
      }));
    }
    default:
      return junk;
  }
}

test('the validator accepts by shape exactly what Ajv accepts', () => {
  const ajv = new Ajv2020({ strict: false }).compile(JSON.parse(JSON.stringify(Workflow)));
  const workflow = sample(JSON.parse(JSON.stringify(Workflow)));
  let accepted = 0;
  fc.assert(
    fc.property(workflow, (source) => {
      const report = new Report();
      checkShape(source, report);
      assert.equal(report.errors === 0, ajv(source), JSON.stringify([report.findings, ajv.errors]));
      if (report.errors === 0) accepted++;
    }),
    { seed: 41, numRuns: 4_000 },
  );
  assert.ok(accepted > 200 && accepted < 3_800, `${accepted} of the samples were sound`);
});
