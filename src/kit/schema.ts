import type { JSONObject } from '../lib/json.ts';

// Parts that the params of many step types are made of, as JSON Schema. Each has a description, which is the reference
// of the param and stands in error messages.

/** A text of 1 to `maxLength` characters. */
export const text = (description: string, maxLength = 256): JSONObject => ({
  type: 'string',
  minLength: 1,
  maxLength,
  description,
});

/** A whole number within bounds, both included. */
export const whole = (description: string, minimum: number, maximum?: number): JSONObject => ({
  type: 'integer',
  minimum,
  ...(maximum === undefined ? {} : { maximum }),
  description,
});

/** true or false. */
export const flag = (description: string): JSONObject => ({ type: 'boolean', description });

/** An object with these properties and no others, such as all params of a step type. */
export const fields = (
  properties: Readonly<Record<string, JSONObject>>,
  required: readonly string[] = [],
): JSONObject => ({
  type: 'object',
  properties: { ...properties },
  ...(required.length === 0 ? {} : { required: [...required] }),
  additionalProperties: false,
});

/** `fields` with a description. */
export const object = (
  description: string,
  properties: Readonly<Record<string, JSONObject>>,
  required: readonly string[] = [],
): JSONObject => ({ ...fields(properties, required), description });
