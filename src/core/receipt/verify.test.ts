import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Lies, nodes, sampleRun, trust, workflow } from '../../../test/receipt/sample-run.ts';
import { digestOf } from '../../lib/canonical.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Bundle } from '../../protocol/receipt.ts';
import { planWorkflow } from '../workflow/plan.ts';
import { envelopeDigest } from './dsse.ts';
import { Findings } from './findings.ts';
import { RunEvidence } from './run-evidence.ts';
import { decodeReceipt, decodeRunStatement } from './statement.ts';
import { verifyBundle } from './verify.ts';

const seed = Number(process.env.FC_SEED ?? 20260131);

test('an honest run verifies, pinned and unpinned', async () => {
  const bundle = await sampleRun();
  const pinned = verifyBundle(bundle, { trust });
  assert.deepEqual(pinned.problems, []);
  assert.equal(pinned.ok, true);
  assert.equal(pinned.pinned, true);
  assert.equal(pinned.status, 'completed');
  assert.deepEqual(
    pinned.signers.map(({ node_id, receipts, trusted }) => [node_id, receipts, trusted]),
    [
      ['w1', 3, true],
      ['w2', 3, true],
      ['coordinator', 0, true],
    ],
  );
  assert.ok(pinned.checks.every(({ ok, detail }) => ok && detail !== ''));

  const open = verifyBundle(JSON.parse(JSON.stringify(bundle)));
  assert.equal(open.ok, true);
  assert.equal(open.pinned, false);
  assert.ok(open.signers.every(({ trusted }) => !trusted));
});

test('failed and cancelled runs verify', async () => {
  const early = [
    { step: 'load', attempt: 1, node: 'w1' },
    { step: 'keep', attempt: 1, node: 'w2', failed: true },
  ] as const;
  assert.deepEqual(verifyBundle(await sampleRun({ attempts: [...early] }), { trust }).problems, []);
  const cancelled = await sampleRun({
    attempts: [...early],
    run: (run) => {
      run.status = 'cancelled';
      run.not_run.unshift({ step_id: 'keep', state: 'cancelled' });
    },
  });
  assert.deepEqual(verifyBundle(cancelled, { trust }).problems, []);
  // No receipt at all: the root of nothing.
  assert.deepEqual(verifyBundle(await sampleRun({ attempts: [] }), { trust }).problems, []);
});

test('a failure may be stated by the coordinator itself, a success may not', async () => {
  const attempts = (failed: boolean) => [
    { step: 'load', attempt: 1, node: 'w1' as const },
    { step: 'keep', attempt: 1, node: 'coordinator' as const, failed },
  ];
  assert.deepEqual(verifyBundle(await sampleRun({ attempts: attempts(true) }), { trust }).problems, []);
  const forged = verifyBundle(await sampleRun({ attempts: attempts(false) }), { trust });
  assert.deepEqual(
    forged.problems.map(({ code, where }) => [code, where]),
    [['NOT_TRUSTED', 'receipts[1]']],
  );
  assert.equal(forged.pinned, false);
});

test('a step may fail before its input is resolved, but not succeed without one', async () => {
  const noInput = (failed: boolean): Lies => ({
    attempts: [
      { step: 'load', attempt: 1, node: 'w1' },
      { step: 'keep', attempt: 1, node: 'coordinator', failed },
    ],
    receipt: (p) => p.step_id === 'keep' && Object.assign(p, { input_digest: digestOf(null) }),
  });
  assert.deepEqual(verifyBundle(await sampleRun(noInput(true)), { trust }).problems, []);
  assert.match(verifyBundle(await sampleRun(noInput(false))).problems[0]?.message ?? '', /the input digest is/);
});

test('an output that is carried as its digest alone is checked against the receipt', async () => {
  const withDigest = (digest: string): Promise<Bundle> =>
    sampleRun({
      bundle: (bundle) => {
        bundle.outputs.keep = { digest, bytes: 1_000_000 };
      },
    });
  const honest = await sampleRun();
  const { value } = honest.outputs.keep as { value: unknown };
  const good = verifyBundle(await withDigest(digestOf(value)), { trust });
  assert.deepEqual(good.problems, []);
  // What takes its input from there can't be recomputed, and the report says so.
  assert.match(good.checks.find(({ name }) => name === 'inputs')?.detail ?? '', /^3 recomputed, 3 not/);
  assert.equal(verifyBundle(await withDigest(digestOf(null)), { trust }).ok, false);
});

/** Each lie is signed by those who may sign it, and still has to be seen; the words tell that it was seen for the right reason. */
const lies: Record<string, [Lies, RegExp]> = {
  'a receipt of another run': [
    { receipt: (p) => p.step_id === 'ages' && Object.assign(p, { run_id: 'run-0002' }) },
    /the run is run-0002/,
  ],
  'a receipt of another tenant': [
    { receipt: (p) => p.step_id === 'ages' && Object.assign(p, { tenant_id: 'other' }) },
    /the tenant is other/,
  ],
  'a receipt of a later epoch': [{ receipt: (p) => p.step_id === 'ages' && Object.assign(p, { epoch: 3 }) }, /epoch 3/],
  'a receipt for another workflow': [
    { receipt: (p) => p.step_id === 'ages' && Object.assign(p, { workflow_digest: digestOf(1) }) },
    /the workflow digest is/,
  ],
  'a receipt for a changed step': [
    { receipt: (p) => p.step_id === 'ages' && Object.assign(p, { step_digest: digestOf(1) }) },
    /the step digest is/,
  ],
  'a receipt of another step type': [
    { receipt: (p) => p.step_id === 'ages' && Object.assign(p, { step_type: 'mock_compute' }) },
    /the step type is/,
  ],
  'another input': [
    { receipt: (p) => p.step_id === 'ages' && Object.assign(p, { input_digest: digestOf({}) }) },
    /the input digest is/,
  ],
  'another output': [
    { receipt: (p) => p.step_id === 'ages' && Object.assign(p, { output_digest: digestOf({}) }) },
    /the output digest is/,
  ],
  'a parent left out': [{ receipt: (p) => p.step_id === 'sum' && p.parents.pop() }, /does not name the parent/],
  'a stranger as parent': [
    { receipt: (p) => p.step_id === 'keep' && p.parents.push({ step_id: 'zzz', receipt_digest: digestOf(1) }) },
    /"zzz" is not a parent/,
  ],
  'another receipt of the parent': [
    {
      receipt: (p) => p.step_id === 'keep' && p.parents.splice(0, 1, { step_id: 'load', receipt_digest: digestOf(1) }),
    },
    /names another receipt of "load"/,
  ],
  'attempts that do not count up': [
    { receipt: (p) => p.step_id === 'label' && Object.assign(p, { attempt: 1 }) },
    /attempt 1 of step "label" follows attempt 1/,
  ],
  'a receipt left out': [{ receipts: (all) => all.toSpliced(3, 1) }, /step "ages" has no receipt/],
  'a receipt doubled': [{ receipts: (all) => [...all, ...all.slice(1, 2)] }, /stands twice/],
  'a second success': [
    {
      attempts: [
        { step: 'load', attempt: 1, node: 'w1' },
        { step: 'load', attempt: 2, node: 'w1' },
      ],
    },
    /has a receipt after its success/,
  ],
  'receipts in another order': [{ receipts: (all) => all.toReversed() }, /stands before that of/],
  'two receipts swapped under an honest root': [
    { bundle: (b) => b.receipts.splice(3, 2, ...b.receipts.slice(3, 5).reverse()) },
    /the Merkle root is/,
  ],
  'a receipt dropped under an honest root': [{ bundle: (b) => b.receipts.splice(2, 1) }, /the tree size is 6/],
  'a wrong result root': [{ run: (run) => Object.assign(run, { result_root: digestOf(1) }) }, /the result root is/],
  'an output left out': [{ bundle: (b) => delete b.outputs.label }, /lacks the output of step "label"/],
  'an output too many': [
    { bundle: (b) => Object.assign(b.outputs, { zzz: { value: 1 } }) },
    /no receipt says that step "zzz" succeeded/,
  ],
  'another workflow': [{ bundle: (b) => Object.assign(b.workflow, { version: '1.0.1' }) }, /workflow digest is/],
  'a workflow that is none': [
    { bundle: (b) => Object.assign(b, { workflow: { steps: 1 } }) },
    /the workflow is not valid/,
  ],
  'another input of the run': [{ bundle: (b) => Object.assign(b, { input: {} }) }, /the input digest is/],
  'another run id': [{ bundle: (b) => Object.assign(b, { run_id: 'run-0002' }) }, /the run is run-0001/],
  'a completed run that is called failed': [
    { run: (r) => Object.assign(r, { status: 'failed', error: { code: 'A', message: 'b', retryable: false } }) },
    /stated as failed, but every step succeeded/,
  ],
  'a run called completed that is not': [
    { attempts: [{ step: 'load', attempt: 1, node: 'w1' }], run: (run) => Object.assign(run, { status: 'completed' }) },
    /not every step succeeded/,
  ],
  'a step that is called not run but was': [
    { run: (run) => run.not_run.push({ step_id: 'load', state: 'skipped' }) },
    /step "load" succeeded/,
  ],
  'an error that blames the wrong step': [
    {
      attempts: [{ step: 'load', attempt: 1, node: 'w1' }],
      run: (run) => Object.assign(run.error ?? {}, { step_id: 'load' }),
    },
    /blames step "load"/,
  ],
  'a foreign key under a node’s name': [{ signAs: { w1: 'stranger' } }, /the signature of "w1" does not hold/],
  'a run statement signed by a worker': [{ signAs: { coordinator: 'w1' } }, /signature of "coordinator" does not hold/],
  'a key left out': [{ bundle: (b) => b.keys.pop() }, /lacks the key/],
  'a key doubled': [{ bundle: (b) => b.keys.push(...b.keys.slice(0, 1)) }, /listed twice/],
  'a key of nobody': [
    {
      bundle: (b) => b.keys.push({ node_id: 'x', key_id: nodes.stranger.keyId, public_key: nodes.stranger.publicKey }),
    },
    /no signature names this key/,
  ],
  'a key under a foreign key id': [
    { bundle: (b) => Object.assign(b.keys.at(-1) ?? {}, { public_key: nodes.stranger.publicKey }) },
    /the key's own is/,
  ],
  'a second signature': [
    { bundle: (b) => b.receipts[0]?.signatures.push({ keyid: nodes.w1.keyId, sig: '' }) },
    /a list of at most 1/,
  ],
  'an unknown field': [{ bundle: (b) => Object.assign(b, { note: 'trust me' }) }, /unknown field "note"/],
};

for (const [name, [lie, words]] of Object.entries(lies)) {
  test(`refused: ${name}`, async () => {
    const report = verifyBundle(await sampleRun(lie), { trust });
    assert.equal(report.ok, false);
    const messages = report.problems.map(({ where, message }) => `${where}: ${message}`);
    assert.ok(
      messages.some((message) => words.test(message)),
      messages.join('\n'),
    );
    assert.ok(report.problems.some(({ code }) => code === 'BAD_EVIDENCE'));
    assert.ok(report.checks.some(({ ok }) => !ok));
  });
}

test('a receipt taken from another run of the same workflow is refused', async () => {
  const [bundle, other] = [await sampleRun(), await sampleRun({ runId: 'run-0002' })];
  bundle.receipts[3] = other.receipts[3] ?? bundle.run_statement;
  assert.equal(verifyBundle(bundle, { trust }).ok, false);
});

test('a small-order key is refused, whatever its signatures do', async () => {
  // With the neutral element as key, R = S·B holds for every message: here S = 0 and R = the neutral element.
  const neutral = Buffer.alloc(32);
  neutral[0] = 1;
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), neutral]);
  const pem = `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`;
  const keyId = sha256(neutral);
  const honest = await sampleRun();
  const statement = Buffer.from(honest.run_statement.payload, 'base64')
    .toString()
    .replaceAll(nodes.coordinator.keyId, keyId);
  honest.run_statement = {
    ...honest.run_statement,
    payload: Buffer.from(statement).toString('base64'),
    signatures: [{ keyid: keyId, sig: Buffer.concat([neutral, Buffer.alloc(32)]).toString('base64') }],
  };
  Object.assign(honest.keys.find(({ node_id }) => node_id === 'coordinator') ?? {}, { key_id: keyId, public_key: pem });
  const report = verifyBundle(honest);
  assert.ok(report.problems.some(({ message }) => /small order/.test(message)));
  assert.equal(report.ok, false);
});

test('signers outside the trust file, or in the wrong role, are a matter of policy', async () => {
  const bundle = await sampleRun();
  const without = { ...trust, keys: trust.keys.filter(({ node_id }) => node_id !== 'w2') };
  const report = verifyBundle(bundle, { trust: without });
  assert.deepEqual(new Set(report.problems.map(({ code }) => code)), new Set(['NOT_TRUSTED']));
  assert.equal(report.problems.length, 3);
  assert.equal(report.pinned, false);
  assert.deepEqual(
    report.signers.filter(({ trusted }) => !trusted).map(({ node_id }) => node_id),
    ['w2'],
  );

  const swapped = { ...trust, keys: trust.keys.map((key) => ({ ...key, roles: ['worker' as const] })) };
  assert.deepEqual(
    verifyBundle(bundle, { trust: swapped }).problems.map(({ code, where }) => [code, where]),
    [['NOT_TRUSTED', 'run_statement']],
  );
  const renamed = { ...trust, keys: trust.keys.map((key) => ({ ...key, node_id: `${key.node_id}-x` })) };
  assert.equal(verifyBundle(bundle, { trust: renamed }).ok, false);
  const anyRole = { ...trust, keys: trust.keys.map(({ roles: _, ...key }) => key) };
  assert.equal(verifyBundle(bundle, { trust: anyRole }).pinned, true);
});

test('a malformed trust file is the caller’s mistake', async () => {
  const bundle = await sampleRun();
  const [first, ...others] = trust.keys;
  assert.ok(first);
  for (const bad of [null, {}, { ...trust, keys: [{ ...first, key_id: digestOf(1) }] }, { ...trust, extra: 1 }])
    assert.throws(() => verifyBundle(bundle, { trust: bad as typeof trust }), { code: 'INVALID_CONFIG' });
  assert.ok(others.length > 0);
});

test('garbage never throws and never verifies', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withSparseArray: true }), (garbage) => {
      assert.equal(verifyBundle(garbage).ok, false);
    }),
    { seed, numRuns: 1_000 },
  );
});

test('a bundle with any one value replaced never throws and never verifies', async () => {
  const bundle = await sampleRun();
  const paths = pathsOf(bundle);
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
      const copy = structuredClone(bundle);
      const before = replaceAt(copy, path, value);
      if (JSON.stringify(before) === JSON.stringify(value)) return;
      assert.equal(verifyBundle(copy).ok, false, path.join('.'));
    }),
    { seed, numRuns: 300 },
  );
});

type Path = (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const keys: Path = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [
    ...(path.length === 0 ? [] : [path]),
    ...keys.flatMap((key) => pathsOf((value as Record<string, unknown>)[key], [...path, key])),
  ];
}

/** Answers what was there before. */
function replaceAt(root: unknown, path: Path, value: unknown): unknown {
  let holder = root as Record<string, unknown>;
  for (const key of path.slice(0, -1)) holder = holder[key] as Record<string, unknown>;
  const last = path.at(-1) ?? '';
  const before = holder[last];
  holder[last] = value;
  return before;
}

test('inputs that are too large together are one problem, and no reason to stop', async () => {
  const bundle = await sampleRun();
  const plan = planWorkflow(workflow);
  const decoded = bundle.receipts.map((envelope, index) => ({
    where: `receipts[${index}]`,
    index,
    envelope,
    digest: envelopeDigest(envelope),
    predicate: decodeReceipt(envelope).predicate,
  }));
  const { predicate: run } = decodeRunStatement(bundle.run_statement);
  const problemsWithin = (bytes: number) => {
    const findings = new Findings();
    const evidence = new RunEvidence(bundle, plan, run, decoded, findings, bytes);
    findings.check('inputs', () => evidence.checkInputs());
    findings.check('steps', () => evidence.checkSteps());
    assert.equal(findings.checks.length, 2);
    return findings.problems.map(({ where, message }) => `${where}: ${message}`);
  };
  assert.deepEqual(problemsWithin(10_000), []);
  assert.deepEqual(problemsWithin(0), ['receipts[0]: the inputs are too large together to be recomputed from here on']);
  assert.deepEqual(problemsWithin(1_200), [
    'receipts[1]: the inputs are too large together to be recomputed from here on',
  ]);
});
