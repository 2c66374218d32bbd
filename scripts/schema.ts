// Writes schema/workflow.schema.json for editors out of the schema that the validator uses; `--check` only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createTransformAdapter } from '../src/adapters/transform/adapter.ts';
import { isObject, type JSONObject, type JSONValue } from '../src/lib/json.ts';
import { normaliseParamsSchema } from '../src/lib/params-schema.ts';
import type { StepTypeManifest } from '../src/protocol/messages.ts';
import { Workflow } from '../src/protocol/workflow.ts';

const target = fileURLToPath(new URL('../schema/workflow.schema.json', import.meta.url));

const stepTypes = [createTransformAdapter()].flatMap((adapter) => adapter.getManifest().step_types);

const example: JSONObject = {
  workflow: 'hello',
  steps: [
    { id: 'load', type: 'mock_compute', params: { input: [3, 1, 2] } },
    { id: 'total', type: 'transform_reduce', params: { input: '$load.result', operation: 'sum' } },
  ],
};

/** Known step types are offered by editors; those of other adapters pass. */
const typeSchema = (other: JSONValue): JSONObject => ({
  description: 'Step type. Adapters bring further ones.',
  anyOf: [
    ...stepTypes.map(({ type, description }) => ({ const: type, ...(description ? { description } : {}) })),
    other,
  ],
});

/** Names and descriptions of a step type's params. No types: any value may be a reference, at any depth. */
function paramsRule({ type, params_schema }: StepTypeManifest): JSONObject {
  const { properties, required } = normaliseParamsSchema(params_schema);
  const described = Object.entries(isObject(properties) ? properties : {}).map(([name, property]) => {
    const { description, enum: values } = isObject(property) ? property : {};
    return [name, { ...(description ? { description } : {}), ...(values ? { examples: values } : {}) }];
  });
  const needed = Array.isArray(required) && required.length > 0 ? { required } : {};
  return {
    if: { properties: { type: { const: type } }, required: ['type'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: {
      properties: { params: { properties: Object.fromEntries(described), ...needed } },
      ...(required ? { required: ['params'] } : {}),
    },
  };
}

function publishedSchema(): JSONObject {
  // The source carries hidden marks of its library, which JSON leaves out.
  const { type, required, properties, additionalProperties } = JSON.parse(JSON.stringify(Workflow));
  const step = properties.steps.items;
  properties.steps.description = 'The steps, in any order: dependencies decide when each one runs.';
  step.title = 'Step';
  step.properties.type = typeSchema(step.properties.type);
  step.allOf = stepTypes.map(paramsRule);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:jsonflow:schema:workflow:1',
    title: 'JSONFlow workflow',
    description: 'Steps, and what they need of each other. See docs/workflow-language.md.',
    examples: [example],
    type,
    required,
    properties,
    additionalProperties,
  };
}

const text = `${JSON.stringify(publishedSchema(), null, 2)}\n`;
if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (readFileSync(target, 'utf8') !== text) {
  console.error('schema/workflow.schema.json is out of date. Run `npm run schema`.');
  process.exit(1);
}
