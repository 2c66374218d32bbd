import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sampleRun } from '../../../test/receipt/sample-run.ts';
import { canonicalize } from '../../lib/canonical.ts';
import { EvidenceError } from '../../lib/errors.ts';
import type { Envelope, ReceiptStatement } from '../../protocol/receipt.ts';
import { toEnvelope } from './dsse.ts';
import { decodeReceipt, decodeRunStatement, receiptPayload, runPayload } from './statement.ts';

const seed = Number(process.env.FC_SEED ?? 20260131);
const bundle = await sampleRun();
const [first] = bundle.receipts;
assert.ok(first);
const receipt = decodeReceipt(first);

const textOf = (envelope: Envelope): string => Buffer.from(envelope.payload, 'base64').toString();
const resealed = (text: string, like: Envelope = first): Envelope => ({
  ...like,
  payload: Buffer.from(text).toString('base64'),
});

test('what is encoded comes back', () => {
  assert.equal(receiptPayload(receipt.predicate), textOf(first));
  assert.equal(receipt.subject[0].name, 'run-0001/load');
  const run = decodeRunStatement(bundle.run_statement);
  assert.equal(runPayload(run.predicate), textOf(bundle.run_statement));
  assert.equal(run.subject[0].digest.sha256, run.predicate.workflow_digest);
});

test('a receipt is no run statement, nor the other way round', () => {
  assert.throws(() => decodeRunStatement(first), EvidenceError);
  assert.throws(() => decodeReceipt(bundle.run_statement), EvidenceError);
});

const changed = (change: (statement: ReceiptStatement & Record<string, unknown>) => void): Envelope => {
  const statement = structuredClone(receipt) as ReceiptStatement & Record<string, unknown>;
  change(statement);
  return resealed(canonicalize(statement));
};

const refused: Record<string, [Envelope, RegExp]> = {
  'white space': [resealed(`${textOf(first)} `), /not canonical/],
  'keys in another order': [resealed(JSON.stringify(Object.assign({ subject: [] }, receipt))), /not canonical/],
  'a duplicate key': [resealed(textOf(first).replace('"attempt":1', '"attempt":7,"attempt":1')), /not canonical/],
  'a number in other clothes': [resealed(textOf(first).replace('"attempt":1', '"attempt":1.0')), /not canonical/],
  'no JSON': [resealed('{'), /not JSON/],
  'a payload that is no UTF-8': [
    { ...first, payload: Buffer.from([0xff, 0xfe]).toString('base64') },
    /base64 of UTF-8/,
  ],
  'base64 without padding': [{ ...first, payload: `${first.payload.replace(/=+$/, '')} ` }, /base64/],
  'another payload type': [{ ...first, payloadType: 'text/plain' as typeof first.payloadType }, /payloadType/],
  'no signature': [{ ...first, signatures: [] }, /one signature/],
  'two signatures': [{ ...first, signatures: [...first.signatures, ...first.signatures] }, /at most 1/],
  'a key id that is not the signer’s': [toEnvelope(textOf(first), 'a'.repeat(64), new Uint8Array(64)), /the key id/],
  'an envelope with more in it': [{ ...first, extra: 1 } as Envelope, /unknown field "extra"/],
  'a statement with more in it': [changed((s) => Object.assign(s, { extra: 1 })), /unknown field "extra"/],
  'a predicate with more in it': [changed((s) => Object.assign(s.predicate, { extra: 1 })), /unknown field "extra"/],
  'a subject of another run': [changed((s) => Object.assign(s.subject[0], { name: 'run-2/load' })), /subject/],
  'a subject of another output': [
    changed((s) => Object.assign(s.subject[0].digest, { sha256: 'a'.repeat(64) })),
    /subject/,
  ],
  'no subject': [changed((s) => s.subject.pop()), /subject/],
  'an error beside a success': [
    changed((s) => Object.assign(s.predicate, { error: { code: 'A', message: '', retryable: false } })),
    /error exactly where/,
  ],
  'a failure without an error': [
    changed((s) => Object.assign(s.predicate, { status: 'failed' })),
    /error exactly where/,
  ],
  'a failure with an output': [
    changed((s) =>
      Object.assign(s.predicate, { status: 'failed', error: { code: 'A', message: '', retryable: false } }),
    ),
    /digest of null/,
  ],
  'a parent twice': [
    changed((s) => {
      const parent = { step_id: 'a', receipt_digest: 'a'.repeat(64) };
      s.predicate.parents = [parent, parent];
    }),
    /parent twice/,
  ],
  'an upper-case digest': [changed((s) => Object.assign(s.predicate, { step_digest: 'A'.repeat(64) })), /step_digest/],
  'attempt 0': [changed((s) => Object.assign(s.predicate, { attempt: 0 })), /attempt/],
  'a local time': [
    changed((s) => Object.assign(s.predicate, { started_at: '2026-01-31T12:00:00+01:00' })),
    /started_at/,
  ],
  'month 13': [changed((s) => Object.assign(s.predicate, { finished_at: '2026-13-31T12:00:00.000Z' })), /finished_at/],
  'a negative amount': [changed((s) => Object.assign(s.predicate, { resources: { cpu_cores: -1 } })), /resources/],
  'a missing field': [changed((s) => Reflect.deleteProperty(s.predicate, 'deterministic')), /deterministic/],
  'depth beyond the limit': [
    resealed(textOf(first).replace('"resources":{', `"resources":{"x":${'['.repeat(100)}1${']'.repeat(100)},`)),
    /resources/,
  ],
};

for (const [name, [envelope, words]] of Object.entries(refused))
  test(`refused: ${name}`, () => {
    assert.throws(
      () => decodeReceipt(envelope),
      (error: unknown) => {
        assert.ok(error instanceof EvidenceError);
        assert.match(error.message, words);
        return true;
      },
    );
  });

test('property: anything at all is refused with a typed error', () => {
  fc.assert(
    fc.property(fc.anything(), fc.jsonValue(), (garbage, payload) => {
      for (const envelope of [garbage as Envelope, resealed(JSON.stringify(payload))]) {
        assert.throws(() => decodeReceipt(envelope), EvidenceError);
        assert.throws(() => decodeRunStatement(envelope), EvidenceError);
      }
    }),
    { seed, numRuns: 500 },
  );
});
