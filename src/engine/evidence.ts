import { signatureOf, signedBytes } from '../core/receipt/dsse.ts';
import { decodeReceipt, nullDigest } from '../core/receipt/statement.ts';
import { canonicalize } from '../lib/canonical.ts';
import { EvidenceError, JSONFlowError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { JSONValue } from '../lib/json.ts';
import type { SignatureVerifier } from '../ports/signer.ts';
import type { Stored } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { PublicKeyEntry, ReceiptPredicate } from '../protocol/receipt.ts';

/** What the coordinator knows an attempt's receipt must say. */
export interface Expected {
  tenantId: string | null;
  workflowDigest: string;
  stepDigest: string;
  stepType: string;
  parents: readonly { step_id: string; receipt_digest: string }[];
  /** Digests that the run was begun with, by name. */
  assets?: Readonly<Record<string, string>> | undefined;
}

export interface CheckedResult {
  receipt: ReceiptPredicate;
  /** Made anew from what was checked, so that nothing else gets into the journal. A stored output is still to be looked at. */
  output: Stored;
}

/** Base64 of an honest receipt without parents, at most, and what each parent adds. */
const payloadLengthMax = 64 * 1024;
const payloadLengthPerParent = 400;

/**
 * Checks a result before it counts: the signature by the node's own key, every field of the receipt against the message and
 * the assignment, and an output in line against its digest.
 * @throws EvidenceError that says what does not hold
 */
export async function checkResult(
  result: MessageOf<'result'>,
  node: PublicKeyEntry,
  expected: Expected,
  verifier: SignatureVerifier,
): Promise<CheckedResult> {
  const { envelope } = result;
  if (envelope.payload.length > payloadLengthMax + expected.parents.length * payloadLengthPerParent)
    throw new EvidenceError('the receipt is larger than a receipt can be');
  const checked = checkFields(result, node, expected);
  const [signature] = envelope.signatures;
  if (signature === undefined || envelope.signatures.length !== 1 || signature.keyid !== node.key_id)
    throw new EvidenceError('the receipt must carry exactly one signature, by the key of its node');
  const sound = await verifier.verify(node.public_key, signedBytes(envelope), signatureOf(envelope));
  if (!sound) throw new EvidenceError('the signature of the receipt does not hold');
  return checked;
}

/**
 * A value that a node sent, in its one form and within the limit of that form, and its digest.
 * @throws EvidenceError
 */
export function checkStored(stored: Stored): { stored: Stored; digest: string } {
  const inLine = 'value' in stored;
  if (inLine === ('digest' in stored || 'bytes' in stored))
    throw new EvidenceError('a value must come either in line, or as a digest and a size');
  if (!inLine) {
    const { digest, bytes } = stored;
    if (bytes > limits.blobBytesMax) throw new EvidenceError(`a value of ${bytes} bytes is above the limit`);
    return { stored: { digest, bytes }, digest };
  }
  const text = canonicalOf(stored.value);
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.inlineBytesMax)
    throw new EvidenceError(`a value of ${bytes} bytes came in line; above ${limits.inlineBytesMax} it must be stored`);
  return { stored: { value: stored.value }, digest: sha256(text) };
}

/** What is wrong with the content is the sender's doing, whatever code it has. */
function canonicalOf(value: JSONValue): string {
  try {
    return canonicalize(value);
  } catch (thrown) {
    if (!(thrown instanceof JSONFlowError)) throw thrown;
    throw new EvidenceError(`a value can't be hashed: ${thrown.message}`, { cause: thrown });
  }
}

function checkFields(result: MessageOf<'result'>, node: PublicKeyEntry, expected: Expected): CheckedResult {
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
  for (const [name, known] of Object.entries(expected.assets ?? {}))
    if (predicate.assets !== undefined && Object.hasOwn(predicate.assets, name))
      same(`digest of ${name}`, predicate.assets[name], known);
  same('output digest', predicate.output_digest, result.output_digest);
  // Whatever comes with a failure is of no use to anyone.
  const { stored: output, digest } =
    result.error === undefined ? checkStored(result.output) : { stored: { value: null }, digest: nullDigest };
  same('output', digest, result.output_digest);
  return { receipt: predicate, output };
}
