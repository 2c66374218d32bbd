import { JSONFlowError } from './errors.ts';
import { isObject, type JSONObject, type JSONValue, setOwn } from './json.ts';

/** Type names of the simple form, and the JSON Schema each stands for. */
const simpleTypes: Readonly<Record<string, JSONObject>> = {
  string: { type: 'string' },
  number: { type: 'number' },
  integer: { type: 'integer' },
  boolean: { type: 'boolean' },
  object: { type: 'object' },
  array: { type: 'array' },
  null: { type: 'null' },
  any: {},
};

/** Keywords of which at least one, with a value of the right kind, marks a real schema even where `type` is missing. */
const schemaMarks: Readonly<Record<string, (value: JSONValue) => boolean>> = {
  $schema: (value) => typeof value === 'string' && value.includes(':'),
  $ref: (value) => typeof value === 'string' && value.includes('#'),
  properties: isObject,
  additionalProperties: (value) => typeof value === 'boolean' || isMeaningfulSchema(value),
  required: Array.isArray,
  allOf: Array.isArray,
  anyOf: Array.isArray,
  oneOf: Array.isArray,
};

const isMeaningfulSchema = (value: JSONValue): boolean => isObject(value) && !('type' in value && 'required' in value);

/**
 * Whether the object is a JSON Schema itself, rather than a table of parameter names. A parameter may be called `type`:
 * `{ type: 'string', input: 'any' }` is a table, `{ type: 'object' }` is a schema.
 */
const isSchema = (schema: JSONObject): boolean =>
  schema.type === 'object'
    ? Object.entries(schema).every(([key, value]) => key === 'type' || !isSimpleType(value) || isAnnotation(key))
    : Object.entries(schemaMarks).some(([key, fits]) => {
        const value = Object.hasOwn(schema, key) ? schema[key] : undefined;
        return value !== undefined && fits(value);
      });

const isAnnotation = (key: string): boolean => ['title', 'description', '$id', '$schema', '$comment'].includes(key);

const isSimpleType = (value: JSONValue): boolean =>
  typeof value === 'string' && Object.hasOwn(simpleTypes, value.endsWith('?') ? value.slice(0, -1) : value);

/**
 * The JSON Schema of a step type's `params`. A JSON Schema is returned as it is; the simple form
 * `{ input: 'string', limit: 'number?' }` is translated: names with a trailing `?` are optional, all others required, and
 * further parameters are allowed. A value of the simple form may itself be a JSON Schema, with `required: true` or
 * `optional: true` beside its keywords; such a parameter is optional unless marked.
 *
 * @param schema absent: any params will do
 * @throws JSONFlowError INVALID_CONFIG that names the parameter whose type is unknown
 */
export function normaliseParamsSchema(schema?: JSONObject): JSONObject {
  if (schema === undefined) return { type: 'object' };
  if (isSchema(schema)) return schema;
  const properties: JSONObject = {};
  const required: string[] = [];
  for (const [name, value] of Object.entries(schema)) {
    const parameter = normaliseParameter(name, value);
    setOwn(properties, name, parameter.schema);
    if (parameter.required) required.push(name);
  }
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}) };
}

function normaliseParameter(name: string, value: JSONValue): { schema: JSONObject; required: boolean } {
  if (typeof value === 'string') {
    const optional = value.endsWith('?');
    const type = optional ? value.slice(0, -1) : value;
    const schema = Object.hasOwn(simpleTypes, type) ? simpleTypes[type] : undefined;
    if (schema !== undefined) return { schema: { ...schema }, required: !optional };
  }
  if (isObject(value)) {
    const { required, optional, ...rest } = value as JSONObject;
    // `required` as a list is the keyword of a nested object's schema.
    if (Array.isArray(required)) return { schema: value as JSONObject, required: false };
    return { schema: rest, required: required === true || optional === false };
  }
  throw new JSONFlowError('INVALID_CONFIG', `params_schema: parameter "${name}" has no known type`, {
    hint: `Use one of ${Object.keys(simpleTypes).join(', ')}, optionally with a trailing "?", or a JSON Schema.`,
  });
}
