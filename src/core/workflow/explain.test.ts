import assert from 'node:assert/strict';
import { it } from 'node:test';
import { validateWorkflow } from './validate.ts';

const options = {
  type: 'object',
  description: 'How it is done.',
  properties: {
    timeout: { type: 'integer', description: 'Ms.' },
    retry: {
      type: 'object',
      description: 'Tries after the first.',
      properties: { attempts: { type: 'integer' } },
      additionalProperties: false,
    },
  },
  additionalProperties: false,
};
const stepTypes = new Map([
  [
    'fetch',
    {
      type: 'fetch',
      params_schema: {
        type: 'object',
        properties: { url: { type: 'string' }, options },
        required: ['url'],
        additionalProperties: false,
      },
    },
  ],
]);

/** The first problem with a step of these params. */
function problem(params: object): { message: string; suggestion?: string | undefined } | undefined {
  const { problems } = validateWorkflow({ workflow: 'w', steps: [{ id: 'a', type: 'fetch', params }] }, { stepTypes });
  return problems[0];
}

it('a misspelt param is compared with those that are allowed where it stands', () => {
  assert.match(problem({ url: 'x', options: { time_out: 1 } })?.suggestion ?? '', /timeout/);
  assert.match(problem({ url: 'x', options: { zzz: 1 } })?.suggestion ?? '', /^Takes timeout\? .*retry\?/);
  assert.match(problem({ url: 'x', zzz: 1 })?.suggestion ?? '', /^Takes url /);
});

it('what should be an object is told what it takes', () => {
  const { suggestion = '' } = problem({ url: 'x', options: { retry: 3 } }) ?? {};
  assert.match(suggestion, /^retry: Tries after the first\. Takes attempts\? \(a whole number\)\.$/);
});
