import { text, whole } from '../../kit/schema.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';

const items: JSONObject = {
  type: ['array', 'object'],
  description:
    'The items, usually a reference such as $load.result; also rows that a step has stored because they are many.',
};
const vars: JSONObject = {
  type: 'object',
  description: 'Values for the expression, as `vars`: constants, or results of other steps to look up by key.',
};
const expression = (description: string): JSONObject => text(description, 4096);
const path = (description: string): JSONObject => ({ type: 'string', maxLength: 1024, description });
const aggregations = ['sum', 'count', 'avg', 'min', 'max'];

/** The step types with their params: shown in validation errors, and the reference for docs/adapters/transform.md. */
export const stepTypes: StepTypeManifest[] = [
  {
    type: 'mock_compute',
    description: 'Waits, then answers with its input. For trying out workflows.',
    deterministic: true,
    params_schema: {
      type: 'object',
      properties: {
        input: { description: 'Any value; becomes the result. Default null.' },
        delay_ms: whole('How long to wait. Default 0.', 0, 3_600_000),
      },
    },
  },
  {
    type: 'transform_map',
    description: 'Makes a new list with one element for each item.',
    deterministic: true,
    params_schema: {
      type: 'object',
      properties: {
        input: items,
        expression: expression('CEL over item, index and vars; its value becomes the element.'),
        fields: {
          description:
            'The fields to keep: a list of paths, or new names with the path of each. Missing ones become null.',
          anyOf: [
            { type: 'array', items: path('Path, such as address.city; the last name becomes the key.'), minItems: 1 },
            { type: 'object', additionalProperties: path('Path, such as address.city.'), minProperties: 1 },
          ],
        },
        vars,
      },
      required: ['input'],
      additionalProperties: false,
    },
  },
  {
    type: 'transform_filter',
    description: 'Keeps the items that fulfil a condition.',
    deterministic: true,
    params_schema: {
      type: 'object',
      properties: {
        input: items,
        key: path('Path whose value must equal `value`.'),
        value: { description: 'Any JSON value, compared deeply and by type.' },
        expression: expression('CEL over item, index and vars that is true or false.'),
        vars,
      },
      required: ['input'],
      additionalProperties: false,
    },
  },
  {
    type: 'transform_reduce',
    description: 'Makes one value out of a list: an aggregate, groups, or aggregates of groups.',
    deterministic: true,
    params_schema: {
      type: 'object',
      properties: {
        input: items,
        operation: { enum: [...aggregations, 'group'], description: 'What to compute.' },
        key: path('Path of the value to aggregate, or to group by with the operation group. Default: the item itself.'),
        by: path('Path of the value to group by: one aggregate for each of its values.'),
        aggregates: {
          type: 'object',
          description: 'Several aggregates in one pass, by name, instead of operation and key.',
          minProperties: 1,
          maxProperties: 100,
          propertyNames: { not: { const: 'key' } },
          additionalProperties: {
            type: 'object',
            properties: { operation: { enum: aggregations }, key: path('Path of the value to aggregate.') },
            required: ['operation'],
            additionalProperties: false,
          },
        },
        as: {
          enum: ['list', 'map'],
          description: 'With `by`: rows sorted by key (list, the default), or rows by the text of their key (map).',
        },
      },
      required: ['input'],
      additionalProperties: false,
    },
  },
];
