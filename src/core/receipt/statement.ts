import { canonicalize } from '../../lib/canonical.ts';
import { EvidenceError, JSONFlowError } from '../../lib/errors.ts';
import { sha256 } from '../../lib/hash.ts';
import {
  type Envelope,
  payloadType,
  type ReceiptPredicate,
  type ReceiptStatement,
  type RunPredicate,
  type RunStatement,
  receiptPredicateType,
  runPredicateType,
  type StepFailure,
  statementType,
} from '../../protocol/receipt.ts';
import { payloadText } from './dsse.ts';
import {
  amounts,
  type Check,
  count,
  digest,
  digests,
  expectShape,
  flag,
  list,
  literal,
  name,
  object,
  orNull,
  positive,
  shortText,
  stepId,
  text,
  time,
} from './fields.ts';

/** Digest of `null`: what a failed attempt states as the digest of its output. */
export const nullDigest: string = sha256('null');

/** Canonical JSON of the statement that a node signs for one attempt at a step. */
export const receiptPayload = (predicate: ReceiptPredicate): string =>
  canonicalize({
    _type: statementType,
    subject: [{ name: `${predicate.run_id}/${predicate.step_id}`, digest: { sha256: predicate.output_digest } }],
    predicateType: receiptPredicateType,
    predicate,
  } satisfies ReceiptStatement);

/** Canonical JSON of the statement that the coordinator signs for a run. */
export const runPayload = (predicate: RunPredicate): string =>
  canonicalize({
    _type: statementType,
    subject: [{ name: predicate.run_id, digest: { sha256: predicate.workflow_digest } }],
    predicateType: runPredicateType,
    predicate,
  } satisfies RunStatement);

const failureFields = { code: text, message: text, retryable: flag };

const receiptPredicate = object<ReceiptPredicate>(
  {
    run_id: name,
    step_id: stepId,
    step_type: shortText,
    attempt: positive,
    epoch: count,
    tenant_id: orNull(name),
    workflow_digest: digest,
    step_digest: digest,
    input_digest: digest,
    output_digest: digest,
    parents: list(object<ReceiptPredicate['parents'][number]>({ step_id: stepId, receipt_digest: digest })),
    assets: digests,
    adapter: object<ReceiptPredicate['adapter']>({ id: text, version: text }),
    node: object<ReceiptPredicate['node']>({ id: name, key_id: digest }),
    started_at: time,
    finished_at: time,
    status: literal('success', 'failed'),
    error: object<StepFailure>(failureFields),
    deterministic: flag,
    resources: amounts,
  },
  ['error', 'assets'],
);

const runPredicate = object<RunPredicate>(
  {
    run_id: name,
    workflow: shortText,
    workflow_digest: digest,
    input_digest: digest,
    tenant_id: orNull(name),
    status: literal('completed', 'failed', 'cancelled'),
    error: object<NonNullable<RunPredicate['error']>>({ ...failureFields, step_id: stepId }, ['step_id']),
    tree_size: count,
    merkle_root: digest,
    result_root: digest,
    not_run: list(object<RunPredicate['not_run'][number]>({ step_id: stepId, state: literal('skipped', 'cancelled') })),
    coordinator: object<RunPredicate['coordinator']>({ id: name, key_id: digest }),
    epoch: count,
    started_at: time,
    finished_at: time,
  },
  ['error'],
);

const envelopeShape = object<Envelope>({
  payload: text,
  payloadType: literal(payloadType),
  signatures: list(object<Envelope['signatures'][number]>({ keyid: digest, sig: text }), 1),
});

const subjectShape = list(
  object<ReceiptStatement['subject'][0]>({ name: text, digest: object<{ sha256: string }>({ sha256: digest }) }),
  1,
);

const statementShape = (predicateType: string, predicate: Check): Check =>
  object<ReceiptStatement>({
    _type: literal(statementType),
    subject: subjectShape,
    predicateType: literal(predicateType),
    predicate,
  });
const receiptStatement = statementShape(receiptPredicateType, receiptPredicate);
const runStatement = statementShape(runPredicateType, runPredicate);

/**
 * The receipt inside an envelope, with every field checked: shapes, canonical form, one signature whose key id is the node's, a
 * subject that agrees with the predicate. It does not check the signature: for that, see `signedBytes` and `signatureOf`.
 *
 * @throws EvidenceError, saying what is wrong
 */
export function decodeReceipt(envelope: Envelope): ReceiptStatement {
  const statement = decode<ReceiptStatement>(envelope, receiptStatement, 'receipt');
  const { predicate } = statement;
  expectSubject(statement, `${predicate.run_id}/${predicate.step_id}`, predicate.output_digest);
  expectSigner(envelope, predicate.node.key_id);
  if ((predicate.status === 'failed') !== (predicate.error !== undefined))
    throw new EvidenceError('the receipt must carry an error exactly where its status is failed');
  if (predicate.status === 'failed' && predicate.output_digest !== nullDigest)
    throw new EvidenceError('the receipt of a failed attempt must state the digest of null as its output');
  if (new Set(predicate.parents.map(({ step_id }) => step_id)).size !== predicate.parents.length)
    throw new EvidenceError('the receipt names a parent twice');
  return statement;
}

/** What a receipt states, without any check: for receipts that were checked when they were taken in. */
export const statedBy = (envelope: Envelope): ReceiptPredicate =>
  (JSON.parse(payloadText(envelope)) as ReceiptStatement).predicate;

/**
 * The run statement inside an envelope; checked as `decodeReceipt` checks a receipt.
 *
 * @throws EvidenceError, saying what is wrong
 */
export function decodeRunStatement(envelope: Envelope): RunStatement {
  const statement = decode<RunStatement>(envelope, runStatement, 'run statement');
  const { predicate } = statement;
  expectSubject(statement, predicate.run_id, predicate.workflow_digest);
  expectSigner(envelope, predicate.coordinator.key_id);
  return statement;
}

function decode<T extends ReceiptStatement | RunStatement>(envelope: Envelope, shape: Check, what: string): T {
  expectShape(envelope, envelopeShape, 'the envelope');
  const source = payloadText(envelope);
  const statement = parse(source, what);
  expectShape(statement, shape, `the ${what}`);
  // One text per statement: this also refuses duplicate keys, which a parser drops without a word.
  if (canonical(statement, what) !== source) throw new EvidenceError(`the ${what} is not canonical JSON (RFC 8785)`);
  return statement as T;
}

function parse(source: string, what: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    throw new EvidenceError(`the ${what} is not JSON`);
  }
}

function canonical(statement: unknown, what: string): string {
  try {
    return canonicalize(statement);
  } catch (cause) {
    const why = cause instanceof JSONFlowError ? `: ${cause.message}` : '';
    throw new EvidenceError(`the ${what} is not I-JSON${why}`, { cause });
  }
}

function expectSubject({ subject }: ReceiptStatement | RunStatement, expected: string, sha256: string): void {
  // The shape allows an empty list, which in-toto does not.
  const [only] = subject as readonly ReceiptStatement['subject'][0][];
  if (only?.name !== expected || only.digest.sha256 !== sha256)
    throw new EvidenceError('the subject of the statement does not agree with its predicate');
}

function expectSigner(envelope: Envelope, keyId: string): void {
  if (envelope.signatures.length !== 1) throw new EvidenceError('the envelope must carry one signature');
  if (envelope.signatures[0]?.keyid !== keyId)
    throw new EvidenceError('the key id beside the signature is not the one that the statement names');
}
