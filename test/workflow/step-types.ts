import type { StepTypeManifest } from '../../src/protocol/messages.ts';

/** Step types with schemas of every sort, for validation. */
export const stepTypes = new Map<string, StepTypeManifest>(
  (
    [
      { type: 'any' },
      { type: 'simple', params_schema: { text: 'string', count: 'number?' } },
      {
        type: 'strict',
        params_schema: {
          type: 'object',
          properties: {
            input: { type: 'array', description: 'The list.' },
            mode: { enum: ['fast', 'slow'] },
            limit: { type: 'integer', minimum: 1, maximum: 10 },
            name: { type: 'string', pattern: '^[a-z]+$' },
            fields: {
              anyOf: [
                { type: 'array', items: { type: 'string' } },
                { type: 'object', minProperties: 1 },
              ],
            },
          },
          required: ['input'],
          additionalProperties: false,
        },
      },
      {
        type: 'either',
        params_schema: { type: 'object', anyOf: [{ required: ['key'] }, { required: ['expression'] }] },
      },
      { type: 'broken', params_schema: { type: 'object', properties: { a: { $ref: 'https://example.org/x' } } } },
      { type: 'slow', params_schema: { type: 'object', properties: { a: { type: 'string', pattern: '^(?=a)a' } } } },
    ] satisfies StepTypeManifest[]
  ).map((manifest) => [manifest.type, manifest]),
);
