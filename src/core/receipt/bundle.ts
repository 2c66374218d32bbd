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
 * The text of a bundle file: canonical JSON for each part, and a line for each receipt, output and key. Equal bundles give equal
 * text, whatever the order of their keys.
 *
 * @throws JSONFlowError as `canonicalize`
 */
export function encodeBundle(bundle: Bundle): string {
  // Part by part: the whole is nested deeper than a value may be.
  const outputs = Object.keys(bundle.outputs)
    .sort()
    .map((id) => `${JSON.stringify(id)}:${encodeOutput(bundle.outputs[id])}`);
  const parts = {
    jsonflow_bundle: canonicalize(bundle.jsonflow_bundle),
    run_id: canonicalize(bundle.run_id),
    workflow: canonicalize(bundle.workflow),
    input: canonicalize(bundle.input),
    receipts: lines('[', bundle.receipts.map(canonicalize), ']'),
    run_statement: canonicalize(bundle.run_statement),
    outputs: lines('{', outputs, '}'),
    keys: lines('[', bundle.keys.map(canonicalize), ']'),
  };
  const members = Object.entries(parts).map(([name, text]) => `${JSON.stringify(name)}:${text}`);
  return `{\n${members.join(',\n')}\n}\n`;
}

const encodeOutput = (output: Bundle['outputs'][string] | undefined): string =>
  output !== undefined && 'value' in output ? `{"value":${canonicalize(output.value)}}` : canonicalize(output);

const lines = (open: string, items: readonly string[], close: string): string =>
  items.length === 0 ? open + close : `${open}\n${items.join(',\n')}\n${close}`;
