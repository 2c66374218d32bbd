import { signatureOf, signedBytes } from '../core/receipt/dsse.ts';
import { decodeReceipt, nullDigest } from '../core/receipt/statement.ts';
import { digestOf } from '../lib/canonical.ts';
import { EvidenceError } from '../lib/errors.ts';
import type { SignatureVerifier } from '../ports/signer.ts';
import type { Store } from '../ports/store.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { PublicKeyEntry, ReceiptPredicate } from '../protocol/receipt.ts';

/** What the coordinator knows an attempt's receipt must say. */
export interface Expected {
  tenantId: string | null;
  workflowDigest: string;
  stepDigest: string;
  stepType: string;
  parents: readonly { step_id: string; receipt_digest: string }[];
}

/**
 * Checks a result before it counts: the signature by the node's own key, every field of the receipt against the message and
 * the assignment, and the output against its digest.
 * @throws EvidenceError that says what does not hold
 */
export async function checkResult(
  result: MessageOf<'result'>,
  node: PublicKeyEntry,
  expected: Expected,
  deps: { verifier: SignatureVerifier; store: Store },
): Promise<ReceiptPredicate> {
  const predicate = checkFields(result, node, expected);
  const [signature] = result.envelope.signatures;
  if (signature === undefined || result.envelope.signatures.length !== 1 || signature.keyid !== node.key_id)
    throw new EvidenceError('the receipt must carry exactly one signature, by the key of its node');
  const { envelope } = result;
  const sound = await deps.verifier.verify(node.public_key, signedBytes(envelope), signatureOf(envelope));
  if (!sound) throw new EvidenceError('the signature of the receipt does not hold');
  if ('digest' in result.output && !(await deps.store.hasBlob(result.output.digest)))
    throw new EvidenceError('the output is said to be stored, but it is not');
  return predicate;
}

function outputDigest({ error, output }: MessageOf<'result'>): string {
  if (error !== undefined) return nullDigest;
  return 'digest' in output ? output.digest : digestOf(output.value);
}

function checkFields(result: MessageOf<'result'>, node: PublicKeyEntry, expected: Expected): ReceiptPredicate {
  const { predicate } = decodeReceipt(result.envelope);
  const same = (field: string, stated: unknown, known: unknown): void => {
    if (stated !== known) throw new EvidenceError(`the receipt's ${field} is ${String(stated)}, not ${String(known)}`);
  };
  same('run', predicate.run_id, result.run_id);
  same('step', predicate.step_id, result.step_id);
  same('attempt', predicate.attempt, result.attempt);
  same('epoch', predicate.epoch, result.epoch);
  same('node', predicate.node.id, node.node_id);
  same('key', predicate.node.key_id, node.key_id);
  same('tenant', predicate.tenant_id, expected.tenantId);
  same('step type', predicate.step_type, expected.stepType);
  same('workflow digest', predicate.workflow_digest, expected.workflowDigest);
  same('step digest', predicate.step_digest, expected.stepDigest);
  same('status', predicate.status, result.error === undefined ? 'success' : 'failed');
  same('error code', predicate.error?.code, result.error?.code);
  same('number of parents', predicate.parents.length, expected.parents.length);
  for (const [index, parent] of expected.parents.entries()) {
    same('parent', predicate.parents[index]?.step_id, parent.step_id);
    same(`digest of parent ${parent.step_id}`, predicate.parents[index]?.receipt_digest, parent.receipt_digest);
  }
  same('output digest', predicate.output_digest, result.output_digest);
  same('output', outputDigest(result), result.output_digest);
  return predicate;
}
