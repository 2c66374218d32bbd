// Every problem code with its exact place, words and suggestion.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lint } from '../../src/core/workflow/params.ts';
import { validateWorkflow } from '../../src/core/workflow/validate.ts';
import { type Problem, type ProblemCode, problemCodes } from '../../src/lib/validation-error.ts';
import { stepTypes } from './step-types.ts';

/** A workflow of one line for each step; the first one stands on line 2. */
const source = (...steps: string[]): string => `{ "workflow": "w", "steps": [\n${steps.join(',\n')}\n] }`;
const a = '{ "id": "a", "type": "any" }';

interface Expected {
  code: ProblemCode;
  at: string;
  path: string;
  message: string | RegExp;
  suggestion?: string | RegExp;
}

const table: Record<string, { text: string; problems: Expected[] }> = {
  'empty source': {
    text: ' \n',
    problems: [
      { code: 'SYNTAX', at: '1:1', path: '(root)', message: 'the source is empty', suggestion: /^Start with/ },
    ],
  },
  'several syntax errors': {
    text: '{ "workflow": "w",\n  "steps": [ 1 2 ], // note\n  "x": tru,\n}',
    problems: [
      { code: 'SYNTAX', at: '2:16', path: '(root)', message: 'expected a comma' },
      { code: 'SYNTAX', at: '2:21', path: '(root)', message: 'comments are not allowed in JSON' },
      { code: 'SYNTAX', at: '3:8', path: '(root)', message: /^this is not JSON/ },
      { code: 'SYNTAX', at: '3:11', path: '(root)', message: 'expected a value' },
      { code: 'SYNTAX', at: '4:1', path: '(root)', message: 'expected a key in double quotes' },
    ],
  },
  'a second value': {
    text: `${source(a)} {}`,
    problems: [{ code: 'SYNTAX', at: '3:5', path: '(root)', message: /^expected the end/ }],
  },
  'duplicate keys': {
    text: source('{ "id": "x", "type": "any", "id": "a", "params": { "k": 1,\n "k": 2 } }'),
    problems: [
      {
        code: 'DUPLICATE_KEY',
        at: '2:29',
        path: 'steps[0].id',
        message: 'the key "id" is there twice',
        suggestion: /^Keep one/,
      },
      {
        code: 'DUPLICATE_KEY',
        at: '3:2',
        path: 'steps[0].params.k',
        message: 'the key "k" is there twice',
        suggestion: /^Keep one/,
      },
    ],
  },
  'numbers that lose digits': {
    text: source('{ "id": "a", "type": "any", "params": { "n": 9007199254740993, "m": 1e400 } }'),
    problems: [
      {
        code: 'NOT_I_JSON',
        at: '2:46',
        path: 'steps[0].params.n',
        message: /beyond/,
        suggestion: 'Write it as a text.',
      },
      {
        code: 'NOT_I_JSON',
        at: '2:69',
        path: 'steps[0].params.m',
        message: /^the number Infinity/,
        suggestion: 'Write it as a text.',
      },
    ],
  },
  'half a character': {
    text: source('{ "id": "a", "type": "any", "params": { "t": "\\ud800" } }'),
    problems: [{ code: 'NOT_I_JSON', at: '2:46', path: 'steps[0].params.t', message: /surrogate/ }],
  },
  'too deep': {
    text: `{ "workflow": "w", "steps":\n${'['.repeat(64)}${']'.repeat(64)} }`,
    problems: [
      { code: 'TOO_DEEP', at: '2:64', path: '(root)', message: 'the workflow is nested deeper than 64 levels' },
    ],
  },
  'unknown fields': {
    text: source('{ "id": "a", "type": "any", "parms": {}, "depends_on": [], "resource_requirements": { "zzz": 1 } }'),
    problems: [
      {
        code: 'UNKNOWN_FIELD',
        at: '2:29',
        path: 'steps[0].parms',
        message: 'there is no field "parms" here',
        suggestion: 'Did you mean "params"?',
      },
      {
        code: 'UNKNOWN_FIELD',
        at: '2:42',
        path: 'steps[0].depends_on',
        message: /depends_on/,
        suggestion: 'Did you mean "parent_step_ids"?',
      },
      {
        code: 'UNKNOWN_FIELD',
        at: '2:87',
        path: 'steps[0].resource_requirements.zzz',
        message: /zzz/,
        suggestion: /^Known fields: ram_mb, /,
      },
    ],
  },
  'missing fields': {
    text: '{ "steps": [\n{ "id": "a" }] }',
    problems: [
      { code: 'MISSING_FIELD', at: '1:1', path: 'workflow', message: 'the field "workflow" is missing' },
      { code: 'MISSING_FIELD', at: '2:1', path: 'steps[0].type', message: 'the field "type" is missing' },
    ],
  },
  'wrong types': {
    text: '{ "workflow": 5, "distributed": "yes",\n"steps": {} }',
    problems: [
      { code: 'WRONG_TYPE', at: '1:15', path: 'workflow', message: 'expected a text, found the number 5' },
      { code: 'WRONG_TYPE', at: '1:33', path: 'distributed', message: 'expected true or false, found the text "yes"' },
      { code: 'WRONG_TYPE', at: '2:10', path: 'steps', message: 'expected a list, found an object' },
    ],
  },
  'no object at all': {
    text: '\n [1]',
    problems: [{ code: 'WRONG_TYPE', at: '2:2', path: '(root)', message: 'expected an object, found a list' }],
  },
  'values out of range': {
    text: '{ "workflow": "", "fault_tolerance": { "max_retries": 101, "failover_strategy": "reasign", "checkpoint_frequency": 0 },\n"steps": [] }',
    problems: [
      { code: 'INVALID_VALUE', at: '1:15', path: 'workflow', message: 'the text must not be empty' },
      {
        code: 'INVALID_VALUE',
        at: '1:55',
        path: 'fault_tolerance.max_retries',
        message: 'expected a whole number from 0 to 100, found the number 101',
      },
      {
        code: 'INVALID_VALUE',
        at: '1:81',
        path: 'fault_tolerance.failover_strategy',
        message: /^expected "reassign" or "checkpoint"/,
        suggestion: 'Did you mean "reassign"?',
      },
      { code: 'INVALID_VALUE', at: '1:116', path: 'fault_tolerance.checkpoint_frequency', message: /at least 1/ },
      { code: 'INVALID_VALUE', at: '2:10', path: 'steps', message: 'the list must not be empty' },
    ],
  },
  'ids that references cannot name': {
    text: source('{ "id": "1st", "type": "any" }', `{ "id": "${'x'.repeat(129)}", "type": "any" }`),
    problems: [
      { code: 'INVALID_VALUE', at: '2:9', path: 'steps[0].id', message: /^expected letters, digits/ },
      { code: 'INVALID_VALUE', at: '3:9', path: 'steps[1].id', message: /at most 128 characters/ },
    ],
  },
  'ids used twice or reserved': {
    text: source(a, a, '{ "id": "input", "type": "any" }'),
    problems: [
      {
        code: 'DUPLICATE_ID',
        at: '3:9',
        path: 'steps[1].id',
        message: 'steps[0] has the id "a" already',
        suggestion: /^Give each/,
      },
      { code: 'RESERVED_ID', at: '4:9', path: 'steps[2].id', message: /no step may bear it/ },
    ],
  },
  'parents that are not there': {
    text: source(
      '{ "id": "load", "type": "any" }',
      '{ "id": "b", "type": "any", "parent_step_ids": ["laod", "b", "load", "load", "input", "$load.x", "nowhere"] }',
    ),
    problems: [
      {
        code: 'MISSING_PARENT',
        at: '3:49',
        path: 'steps[1].parent_step_ids[0]',
        message: 'there is no step "laod"',
        suggestion: 'Did you mean "load"?',
      },
      { code: 'SELF_PARENT', at: '3:57', path: 'steps[1].parent_step_ids[1]', message: /can't wait for itself/ },
      { code: 'DUPLICATE_PARENT', at: '3:70', path: 'steps[1].parent_step_ids[3]', message: /named twice/ },
      {
        code: 'INPUT_MISUSE',
        at: '3:78',
        path: 'steps[1].parent_step_ids[4]',
        message: /no step to wait for/,
        suggestion: /\$input/,
      },
      {
        code: 'MISSING_PARENT',
        at: '3:87',
        path: 'steps[1].parent_step_ids[5]',
        message: /is a reference/,
        suggestion: 'Write "load".',
      },
      {
        code: 'MISSING_PARENT',
        at: '3:98',
        path: 'steps[1].parent_step_ids[6]',
        message: 'there is no step "nowhere"',
      },
    ],
  },
  'each cycle once, step by step': {
    text: source(
      '{ "id": "a", "type": "any", "parent_step_ids": ["b"] }',
      '{ "id": "b", "type": "any", "params": { "x": ["$c.result"] } }',
      '{ "id": "c", "type": "any", "params": { "x": "text ${a.y}" } }',
      '{ "id": "d", "type": "any", "params": { "x": "$e" } }',
      '{ "id": "e", "type": "any", "parent_step_ids": ["d", "a"] }',
    ),
    problems: [
      {
        code: 'CYCLE',
        at: '2:49',
        path: 'steps[0].parent_step_ids[0]',
        message: 'steps wait for each other: a → b → c → a',
        suggestion: /^Remove one/,
      },
      {
        code: 'CYCLE',
        at: '5:46',
        path: 'steps[3].params.x',
        message: 'steps wait for each other: d → e → d',
        suggestion: /^Remove one/,
      },
    ],
  },
  'entangled cycles': {
    text: source(
      '{ "id": "a", "type": "any", "parent_step_ids": ["b", "c"] }',
      '{ "id": "b", "type": "any", "parent_step_ids": ["a"] }',
      '{ "id": "c", "type": "any", "parent_step_ids": ["b"] }',
    ),
    problems: [
      {
        code: 'CYCLE',
        at: '2:49',
        path: 'steps[0].parent_step_ids[0]',
        message: 'steps wait for each other: a → b → a; 3 steps are entangled in this way',
        suggestion: /^Remove one/,
      },
    ],
  },
  'references to nothing': {
    text: source(
      '{ "id": "load", "type": "any", "params": { "x": "$load.y" } }',
      '{ "id": "b", "type": "any", "params": { "x": "$laod.rows", "y": "is ${inptu.z}", "z": "$HOME", "${q}": 1 } }',
    ),
    problems: [
      {
        code: 'SELF_REFERENCE',
        at: '2:49',
        path: 'steps[0].params.x',
        message: /"\$load.y" refers to the output of the very step/,
      },
      {
        code: 'UNKNOWN_REFERENCE',
        at: '3:46',
        path: 'steps[1].params.x',
        message: /the step "laod", which doesn't exist/,
        suggestion: 'Did you mean "$load"? For the literal text write "$$laod.rows".',
      },
      {
        code: 'UNKNOWN_REFERENCE',
        at: '3:65',
        path: 'steps[1].params.y',
        message: /the step "inptu"/,
        suggestion: 'Did you mean "$input"? For the literal text write "$${inptu.z}".',
      },
      {
        code: 'UNKNOWN_REFERENCE',
        at: '3:87',
        path: 'steps[1].params.z',
        message: /the step "HOME"/,
        suggestion: 'For the literal text write "$$HOME".',
      },
    ],
  },
  'malformed references': {
    text: source(
      a,
      '{ "id": "b", "type": "any", "params": { "x": "${a.} and ${ a }", "y": "$a.rows[*]", "z": "$a, hello" } }',
    ),
    problems: [
      {
        code: 'MALFORMED_REFERENCE',
        at: '3:46',
        path: 'steps[1].params.x',
        message: '"${a.}" is not a reference',
        suggestion: /^Write \$\{step/,
      },
      {
        code: 'MALFORMED_REFERENCE',
        at: '3:46',
        path: 'steps[1].params.x',
        message: '"${ a }" is not a reference',
        suggestion: /^Write \$\{step/,
      },
      {
        code: 'LITERAL_REFERENCE',
        at: '3:71',
        path: 'steps[1].params.y',
        message: /as a whole it is literal text/,
        suggestion: /^Write/,
      },
    ],
  },
  'unknown step types': {
    text: source('{ "id": "a", "type": "sipmle" }', '{ "id": "b", "type": "quantum" }'),
    problems: [
      {
        code: 'UNKNOWN_STEP_TYPE',
        at: '2:22',
        path: 'steps[0].type',
        message: 'there is no step type "sipmle"',
        suggestion: 'Did you mean "simple"?',
      },
      {
        code: 'UNKNOWN_STEP_TYPE',
        at: '3:22',
        path: 'steps[1].type',
        message: 'there is no step type "quantum"',
        suggestion: 'Known step types: any, broken, either, simple, slow or strict.',
      },
    ],
  },
  'params of the wrong form': {
    text: source(
      '{ "id": "a", "type": "simple", "params": { "count": "many" } }',
      '{ "id": "b", "type": "strict", "params": { "input": 5, "mode": "fsat", "limit": 11, "name": "A1", "fields": 3, "inputs": 1 } }',
      '{ "id": "c", "type": "strict" }',
      '{ "id": "d", "type": "either", "params": { "input": "$b" } }',
    ),
    problems: [
      {
        code: 'INVALID_PARAMS',
        at: '2:42',
        path: 'steps[0].params.text',
        message: 'the param "text" is missing',
        suggestion: 'Takes text (a text), count? (a number).',
      },
      { code: 'INVALID_PARAMS', at: '2:53', path: 'steps[0].params.count', message: 'expected a number, found a text' },
      {
        code: 'INVALID_PARAMS',
        at: '3:53',
        path: 'steps[1].params.input',
        message: 'expected a list, found a number',
        suggestion: 'input: The list.',
      },
      {
        code: 'INVALID_PARAMS',
        at: '3:64',
        path: 'steps[1].params.mode',
        message: 'expected "fast" or "slow"',
        suggestion: 'Did you mean "fast"?',
      },
      { code: 'INVALID_PARAMS', at: '3:81', path: 'steps[1].params.limit', message: 'expected a number of at most 10' },
      {
        code: 'INVALID_PARAMS',
        at: '3:93',
        path: 'steps[1].params.name',
        message: 'expected a text that matches "^[a-z]+$"',
      },
      {
        code: 'INVALID_PARAMS',
        at: '3:109',
        path: 'steps[1].params.fields',
        message: 'expected a list or an object, found a number',
      },
      {
        code: 'INVALID_PARAMS',
        at: '3:112',
        path: 'steps[1].params.inputs',
        message: 'there is no param "inputs" here',
        suggestion: 'Did you mean "input"?',
      },
      {
        code: 'INVALID_PARAMS',
        at: '4:1',
        path: 'steps[2].params.input',
        message: /missing/,
        suggestion: /^Takes input \(a list\), mode\?, limit\? \(a whole number\)/,
      },
      {
        code: 'INVALID_PARAMS',
        at: '5:42',
        path: 'steps[3].params',
        message: 'fits none of the allowed forms: expected the param "key"; or expected the param "expression"',
      },
    ],
  },
  'schemas that cannot be used': {
    text: source(
      '{ "id": "a", "type": "broken", "params": { "a": 1 } }',
      '{ "id": "b", "type": "slow" }',
      '{ "id": "c", "type": "slow" }',
    ),
    problems: [
      { code: 'UNUSABLE_SCHEMA', at: '2:22', path: 'steps[0].type', message: /"broken"/, suggestion: /manifest/ },
      { code: 'UNUSABLE_SCHEMA', at: '3:22', path: 'steps[1].type', message: /"slow"/, suggestion: /manifest/ },
    ],
  },
  'what an adapter finds dangerous': {
    text: source('{ "id": "a", "type": "any", "params": { "options": { "list": [1, "risky"] } } }'),
    problems: [
      {
        code: 'RISKY_PARAMS',
        at: '2:66',
        path: 'steps[0].params.options.list[1]',
        message: 'this is dangerous',
        suggestion: 'Write something else.',
      },
    ],
  },
  'triggers that share an id, or refer to a run': {
    text: '{ "workflow": "w", "triggers": [\n{ "type": "mq", "params": { "queue": "${a.b}" } },\n{ "type": "mq", "params": {} },\n{ "type": "mq", "id": "mq", "params": {} }], "steps": [{ "id": "a", "type": "any" }] }',
    problems: [
      {
        code: 'UNKNOWN_REFERENCE',
        at: '2:38',
        path: 'triggers[0].params.queue',
        message: /before any run/,
        suggestion: /vault/,
      },
      { code: 'DUPLICATE_ID', at: '3:1', path: 'triggers[1]', message: /"mq"/, suggestion: /own "id"/ },
      { code: 'DUPLICATE_ID', at: '4:23', path: 'triggers[2].id', message: /"mq"/, suggestion: /own "id"/ },
    ],
  },
  'confirmations that nobody asks for': {
    text: '{ "workflow": "w", "consensus": { "min_confirmations": 3 }, "steps": [\n{ "id": "a", "type": "any", "min_confirmations": 3 }] }',
    problems: [
      {
        code: 'CONFIRMATIONS_WITHOUT_CONSENSUS',
        at: '1:56',
        path: 'consensus.min_confirmations',
        message: /no effect/,
        suggestion: /required/,
      },
      {
        code: 'CONFIRMATIONS_WITHOUT_CONSENSUS',
        at: '2:50',
        path: 'steps[0].min_confirmations',
        message: /no effect/,
        suggestion: /consensus_required/,
      },
    ],
  },
};

const warnings: ProblemCode[] = ['DUPLICATE_PARENT', 'LITERAL_REFERENCE', 'UNUSABLE_SCHEMA', 'RISKY_PARAMS'];

const lint: Lint = ({ params }) =>
  JSON.stringify(params).includes('"risky"')
    ? [{ path: ['options', 'list', 1], message: 'this is dangerous', suggestion: 'Write something else.' }]
    : [];

for (const [name, { text, problems: expected }] of Object.entries(table)) {
  test(`reports ${name}`, () => {
    const { workflow, problems } = validateWorkflow(text, { stepTypes, lint });
    const listing = problems.map(({ line, column, code, path }) => `${line}:${column} ${code} ${path}`);
    assert.deepEqual(
      listing,
      expected.map(({ at, code, path }) => `${at} ${code} ${path}`),
    );
    problems.forEach((problem, index) => {
      const { message, suggestion } = expected[index] as Expected;
      matches(problem.message, message);
      if (suggestion === undefined) assert.equal(problem.suggestion, undefined);
      else matches(problem.suggestion ?? '', suggestion);
      assert.equal(problem.severity, warnings.includes(problem.code) ? 'warning' : 'error');
    });
    assert.equal(
      workflow === undefined,
      problems.some(({ severity }) => severity === 'error'),
    );
  });
}

function matches(text: string, wanted: string | RegExp): void {
  if (typeof wanted === 'string') assert.equal(text, wanted);
  else assert.match(text, wanted);
}

test('the same problems are found in objects, without line and column', () => {
  const withoutPlaces = (problems: Problem[]) =>
    problems.map(({ line, column, ...rest }) => JSON.stringify(rest)).sort();
  for (const { text, problems: expected } of Object.values(table)) {
    if (expected.some(({ code }) => ['SYNTAX', 'DUPLICATE_KEY', 'TOO_DEEP'].includes(code))) continue;
    const found = validateWorkflow(JSON.parse(text), { stepTypes, lint }).problems;
    assert.ok(found.every((problem) => !('line' in problem) && !('column' in problem)));
    assert.deepEqual(withoutPlaces(found), withoutPlaces(validateWorkflow(text, { stepTypes, lint }).problems));
  }
});

test('every problem code has its example', () => {
  const shown = new Set(Object.values(table).flatMap(({ problems }) => problems.map(({ code }) => code)));
  // These two take a large workflow: see below.
  shown.add('TOO_LARGE').add('TOO_MANY_PROBLEMS');
  assert.deepEqual(
    [...problemCodes].filter((code) => !shown.has(code)),
    [],
  );
});
