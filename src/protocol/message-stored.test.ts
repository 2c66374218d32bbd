import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits } from './limits.ts';
import { messageProblem } from './message-schema.ts';

const digest = '0123456789abcdef'.repeat(4);
const attempt = { run_id: 'r', step_id: 's', attempt: 1, epoch: 1 };
const envelope = { payload: 'e30=', payloadType: 'application/vnd.in-toto+json', signatures: [] };
const assignment = {
  ...attempt,
  step_type: 't',
  tenant_id: null,
  workflow_digest: digest,
  step_digest: digest,
  input_digest: digest,
  params: { value: {} },
  pointers: [],
  parents: [],
  timeout_ms: null,
  resources: {},
};

/** Everywhere that a value may travel. */
const carriers: Record<string, (stored: unknown) => unknown> = {
  params: (params) => ({ kind: 'assign', assignment: { ...assignment, params } }),
  'last state': (checkpoint) => ({ kind: 'assign', assignment: { ...assignment, checkpoint } }),
  state: (state) => ({ kind: 'checkpoint', ...attempt, save: 1, state }),
  output: (output) => ({ kind: 'result', ...attempt, envelope, output, output_digest: digest }),
};

for (const [what, carry] of Object.entries(carriers))
  describe(`a value travels in one form: ${what}`, () => {
    for (const sound of [{ value: 1 }, { value: null }, { value: { digest, bytes: 1 } }, { digest, bytes: 5 }])
      it(JSON.stringify(sound).slice(0, 60), () => assert.equal(messageProblem(carry(sound)), undefined));
    for (const unsound of [
      { value: 'evil', digest, bytes: 5 },
      { value: 'evil', digest },
      { value: 'evil', bytes: 5 },
      { value: undefined, digest, bytes: 5 },
      { digest },
      { bytes: 5 },
      { digest, bytes: -1 },
      {},
      [],
      null,
    ])
      it(`not ${JSON.stringify(unsound)}`, () => assert.notEqual(messageProblem(carry(unsound)), undefined));
  });

it('an assignment names no more parents than fit into a frame', () => {
  const parents = (count: number) =>
    messageProblem({
      kind: 'assign',
      assignment: { ...assignment, parents: new Array(count).fill({ step_id: 'a', receipt_digest: digest }) },
    });
  assert.equal(parents(limits.parentsMax), undefined);
  assert.match(parents(limits.parentsMax + 1) ?? '', /parents must not have more than/);
  const longest = JSON.stringify({ step_id: 'x'.repeat(limits.idLengthMax), receipt_digest: digest }).length + 1;
  assert.ok((limits.parentsMax * longest * 4) / 3 < limits.frameBytesMax / 2, 'nor does a receipt, in base64');
});
