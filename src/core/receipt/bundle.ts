import { canonicalize } from '../../lib/canonical.ts';
import { EvidenceError } from '../../lib/errors.ts';
import { isObject } from '../../lib/json.ts';
import type { Bundle, PublicKeyEntry } from '../../protocol/receipt.ts';
import { type Check, count, digest, list, literal, name, object } from './fields.ts';
import { decodeReceipt, decodeRunStatement } from './statement.ts';
import { publicKeyEntry } from './trust.ts';

const anything: Check = () => undefined;

const storedValue = object<{ value: unknown }>({ value: anything });
const storedDigest = object<{ digest: string; bytes: number }>({ digest, bytes: count });

const outputs: Check = (value) => {
  if (!isObject(value)) return 'an object';
  for (const key of Object.keys(value)) {
    const stored = value[key];
    const expected = isObject(stored) && 'digest' in stored ? storedDigest(stored) : storedValue(stored);
    if (expected !== undefined) return `an object whose ${JSON.stringify(key)} is ${expected}`;
  }
  return undefined;
};

/** The outermost shape; what is inside workflow and envelopes has its own checks. */
export const bundleShape: Check = object<Bundle>({
  jsonflow_bundle: literal(1),
  run_id: name,
  workflow: (value) => (isObject(value) ? undefined : 'an object'),
  input: anything,
  receipts: list(anything, Number.MAX_SAFE_INTEGER),
  run_statement: anything,
  outputs,
  keys: list(publicKeyEntry, Number.MAX_SAFE_INTEGER),
});

export type BundleParts = Omit<Bundle, 'jsonflow_bundle'>;

/**
 * Puts a bundle together.
 *
 * @param parts `receipts` in journal order; `keys` may hold more keys than signed, and keys twice: only those needed are taken
 * @throws EvidenceError where an envelope is malformed, or the key of a signer is missing
 */
export function buildBundle(parts: BundleParts): Bundle {
  const { run_id, workflow, input, receipts, run_statement, outputs: outputsByStep } = parts;
  const known = new Map(parts.keys.map((entry) => [`${entry.key_id} ${entry.node_id}`, entry]));
  const signers = receipts.map((envelope) => decodeReceipt(envelope).predicate.node);
  signers.push(decodeRunStatement(run_statement).predicate.coordinator);
  const keys = new Map<string, PublicKeyEntry>();
  for (const { id, key_id } of signers) {
    const entry = known.get(`${key_id} ${id}`);
    if (entry === undefined) throw new EvidenceError(`the public key ${key_id} of node "${id}" is missing`);
    keys.set(`${id} ${key_id}`, { node_id: id, key_id, public_key: entry.public_key });
  }
  return {
    jsonflow_bundle: 1,
    run_id,
    workflow,
    input,
    receipts: [...receipts],
    run_statement,
    outputs: outputsByStep,
    keys: [...keys.keys()].sort().map((id) => keys.get(id) as PublicKeyEntry),
  };
}

/**
 * The text of a bundle file: indented JSON with a final line break. Equal bundles give equal text, whatever the order of their keys.
 *
 * @throws JSONFlowError as `canonicalize`
 */
export function encodeBundle(bundle: Bundle): string {
  // Parsing the canonical form puts the keys in order; the fields of the bundle itself read best in their own.
  const sorted = JSON.parse(canonicalize(bundle)) as Bundle;
  const { jsonflow_bundle, run_id, workflow, input, receipts, run_statement, outputs: outputsByStep, keys } = sorted;
  const ordered: Bundle = {
    jsonflow_bundle,
    run_id,
    workflow,
    input,
    receipts,
    run_statement,
    outputs: outputsByStep,
    keys,
  };
  return `${JSON.stringify(ordered, null, 2)}\n`;
}
