import { verify as verifySignature } from 'node:crypto';
import { canonicalize } from '../../lib/canonical.ts';
import { type PublicKey, parsePublicKey } from '../../lib/ed25519.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Bundle, Envelope, PublicKeyEntry, RunPredicate, TrustFile } from '../../protocol/receipt.ts';
import { type Plan, planWorkflow } from '../workflow/plan.ts';
import { validateWorkflow } from '../workflow/validate.ts';
import { bundleShape } from './bundle.ts';
import { envelopeDigest, signatureOf, signedBytes } from './dsse.ts';
import { counted, Findings, short, type VerifyCheck, type VerifyProblem } from './findings.ts';
import { type DecodedReceipt, RunEvidence } from './run-evidence.ts';
import { decodeReceipt, decodeRunStatement } from './statement.ts';
import { type Role, TrustedKeys } from './trust.ts';

export interface VerifyOptions {
  /** The keys to accept. Without it the report says whether the bundle is consistent, and whose signatures it rests on. */
  trust?: TrustFile;
}

export interface VerifyReport {
  /** Whether no problem was found: the bundle is consistent and, where `trust` was given, every signer is trusted. */
  ok: boolean;
  /** Whether `trust` was given and accepts every signer. Without this `ok` says nothing about who made the bundle. */
  pinned: boolean;
  /** As the bundle states them; null where it doesn't state them legibly. */
  run_id: string | null;
  workflow: string | null;
  status: RunPredicate['status'] | null;
  checks: VerifyCheck[];
  /** Unique pairs of key and node whose signatures hold. */
  signers: Signer[];
  /** At most 1,000. */
  problems: VerifyProblem[];
}

interface Signer {
  key_id: string;
  node_id: string;
  /** Whether the trust file accepts the key for all that it signed here. */
  trusted: boolean;
  receipts: number;
}

/** An envelope with who should have signed it, and as what. */
interface Signed {
  where: string;
  envelope: Envelope;
  node: { id: string; key_id: string };
  /** The roles of which the signer needs one. */
  roles: readonly Role[];
}

/**
 * Verifies a run's bundle offline. Bad evidence never throws: every problem found is in the report.
 *
 * @param bundle as parsed from its file, preferably by `parseStrictJSON`
 * @throws JSONFlowError INVALID_CONFIG where `options.trust` is malformed
 */
export function verifyBundle(bundle: unknown, options: VerifyOptions = {}): VerifyReport {
  const trusted = options.trust === undefined ? undefined : new TrustedKeys(options.trust);
  const findings = new Findings();

  // 1. Is it a bundle at all? Nothing else makes sense where it isn't.
  findings.check('bundle', () => checkShape(bundle, findings));
  if (findings.problems.length > 0) return reportOf(findings, undefined, undefined, [], false);
  const { workflow, receipts, run_statement, keys } = bundle as Bundle;

  // 2. Read what is inside. What can't be read is reported once, and left out from here on.
  let plan: Plan | undefined;
  let run: RunPredicate | undefined;
  let decoded: DecodedReceipt[] = [];
  findings.check('workflow', () => {
    plan = planOf(workflow, findings);
    return plan === undefined ? '' : `${counted(plan.steps.length, 'step')}, digest ${short(plan.digest)}`;
  });
  findings.check('envelopes', () => {
    run = decodeRun(run_statement, findings);
    decoded = decodeReceipts(receipts, findings);
    return `${counted(decoded.length, 'receipt')} and the run statement are well formed`;
  });

  // 3. Who signed? Keys count by their own fingerprint, never by what the bundle calls them.
  const signed = signedOf(decoded, run, run_statement);
  const ring = new Map<string, PublicKey>();
  findings.check('keys', () => checkKeys(keys, signed, ring, findings));
  const signers = new Map<string, Signer>();
  findings.check('signatures', () => checkSignatures(signed, ring, signers, findings));
  if (trusted !== undefined) findings.check('trust', () => checkTrust(signed, signers, trusted, findings));

  // 4. Does what was signed fit together?
  if (plan !== undefined && run !== undefined) {
    const evidence = new RunEvidence(bundle as Bundle, plan, run, decoded, findings);
    findings.check('run', () => evidence.checkRun());
    findings.check('receipts', () => evidence.checkReceipts());
    findings.check('order', () => evidence.checkOrder());
    findings.check('parents', () => evidence.checkParents());
    findings.check('outputs', () => evidence.checkOutputs());
    findings.check('inputs', () => evidence.checkInputs());
    findings.check('steps', () => evidence.checkSteps());
    findings.check('status', () => evidence.checkStatus());
    findings.check('merkle root', () => evidence.checkMerkleRoot());
    findings.check('result root', () => evidence.checkResultRoot());
  }
  return reportOf(findings, bundle as Bundle, run, [...signers.values()], trusted !== undefined);
}

function reportOf(
  findings: Findings,
  bundle: Bundle | undefined,
  run: RunPredicate | undefined,
  signers: Signer[],
  trustGiven: boolean,
): VerifyReport {
  const { problems, checks } = findings;
  return {
    ok: problems.length === 0,
    pinned: trustGiven && signers.length > 0 && signers.every(({ trusted }) => trusted),
    run_id: bundle?.run_id ?? null,
    workflow: run?.workflow ?? null,
    status: run?.status ?? null,
    checks,
    signers,
    problems,
  };
}

function checkShape(bundle: unknown, findings: Findings): string {
  const expected = bundleShape(bundle);
  if (expected !== undefined) findings.bad('bundle', `the bundle must be ${expected}`);
  else checkIJSON(bundle as Bundle, findings);
  return 'version 1';
}

/** Part by part: the whole is nested deeper than a value may be. */
function checkIJSON(bundle: Bundle, findings: Findings): void {
  const check = (where: string, value: unknown): void => {
    try {
      canonicalize(value);
    } catch (thrown) {
      findings.bad(where, messageOf(thrown));
    }
  };
  check('workflow', bundle.workflow);
  check('input', bundle.input);
  for (const [index, envelope] of bundle.receipts.entries()) check(`receipts[${index}]`, envelope);
  check('run_statement', bundle.run_statement);
  check('keys', bundle.keys);
  for (const [step, output] of Object.entries(bundle.outputs)) {
    check('outputs', step);
    check(`outputs[${JSON.stringify(step)}]`, 'value' in output ? output.value : output);
  }
}

function planOf(workflow: unknown, findings: Findings): Plan | undefined {
  const validation = validateWorkflow(workflow);
  if (validation.workflow !== undefined) return planWorkflow(validation.workflow);
  const [first] = validation.problems.filter(({ severity }) => severity === 'error');
  findings.bad(
    'workflow',
    `the workflow is not valid: ${first === undefined ? 'unknown' : `${first.path}: ${first.message}`}`,
  );
  return undefined;
}

function decodeRun(envelope: Envelope, findings: Findings): RunPredicate | undefined {
  try {
    return decodeRunStatement(envelope).predicate;
  } catch (thrown) {
    findings.bad('run_statement', messageOf(thrown));
    return undefined;
  }
}

function decodeReceipts(envelopes: readonly Envelope[], findings: Findings): DecodedReceipt[] {
  const decoded: DecodedReceipt[] = [];
  for (const [index, envelope] of envelopes.entries()) {
    const where = `receipts[${index}]`;
    try {
      const { predicate } = decodeReceipt(envelope);
      decoded.push({ where, index, envelope, digest: envelopeDigest(envelope), predicate });
    } catch (thrown) {
      findings.bad(where, messageOf(thrown));
    }
  }
  return decoded;
}

function signedOf(receipts: readonly DecodedReceipt[], run: RunPredicate | undefined, statement: Envelope): Signed[] {
  const coordinator = run?.coordinator;
  const signed = receipts.map(({ where, envelope, predicate: { node, status } }): Signed => {
    // The failure of a step that no node could run is stated by the run's own coordinator.
    const byCoordinator = status === 'failed' && node.id === coordinator?.id && node.key_id === coordinator.key_id;
    return { where, envelope, node, roles: byCoordinator ? ['worker', 'coordinator'] : ['worker'] };
  });
  if (coordinator !== undefined)
    signed.push({ where: 'run_statement', envelope: statement, node: coordinator, roles: ['coordinator'] });
  return signed;
}

/** Fills the ring with the sound keys of the signers. */
function checkKeys(
  keys: readonly PublicKeyEntry[],
  signed: readonly Signed[],
  ring: Map<string, PublicKey>,
  findings: Findings,
): string {
  const needed = new Set(signed.map(({ node }) => signerId(node)));
  const seen = new Set<string>();
  for (const [index, { node_id, key_id, public_key }] of keys.entries()) {
    const where = `keys[${index}]`;
    const id = signerId({ id: node_id, key_id });
    if (seen.has(id)) findings.bad(where, `the key of node "${node_id}" is listed twice`);
    else if (!needed.has(id)) findings.bad(where, `no signature names this key of node "${node_id}"`);
    else addKey(where, id, key_id, public_key, ring, findings);
    seen.add(id);
  }
  for (const { where, node } of signed)
    if (!seen.has(signerId(node)))
      findings.bad(where, `the bundle lacks the key ${short(node.key_id)} of "${node.id}"`);
  return `${counted(new Set([...ring.values()].map(({ keyId }) => keyId)).size, 'sound Ed25519 key')}`;
}

function addKey(
  where: string,
  id: string,
  keyId: string,
  pem: string,
  ring: Map<string, PublicKey>,
  findings: Findings,
): void {
  try {
    const key = parsePublicKey(pem);
    if (key.keyId !== keyId)
      findings.bad(where, `the key id is ${short(keyId)}, but the key's own is ${short(key.keyId)}`);
    else if (key.pem !== pem) findings.bad(where, 'the key is not in the one PEM form');
    else ring.set(id, key);
  } catch (thrown) {
    findings.bad(where, messageOf(thrown));
  }
}

function checkSignatures(
  signed: readonly Signed[],
  ring: ReadonlyMap<string, PublicKey>,
  signers: Map<string, Signer>,
  findings: Findings,
): string {
  for (const { where, envelope, node } of signed) {
    const id = signerId(node);
    const key = ring.get(id);
    if (key === undefined || !holds(envelope, key)) {
      findings.bad(where, `the signature of "${node.id}" ${key === undefined ? "can't be checked" : 'does not hold'}`);
      continue;
    }
    const signer = signers.get(id) ?? { key_id: key.keyId, node_id: node.id, trusted: false, receipts: 0 };
    if (where !== 'run_statement') signer.receipts++;
    signers.set(id, signer);
  }
  const unique = new Set([...signers.values()].map(({ key_id }) => key_id)).size;
  return `${counted(signed.length, 'signature')} by ${counted(unique, 'key')}`;
}

function holds(envelope: Envelope, { key }: PublicKey): boolean {
  try {
    return verifySignature(null, signedBytes(envelope), key, signatureOf(envelope));
  } catch {
    return false;
  }
}

function checkTrust(
  signed: readonly Signed[],
  signers: ReadonlyMap<string, Signer>,
  trusted: TrustedKeys,
  findings: Findings,
): string {
  for (const signer of signers.values()) signer.trusted = true;
  for (const { where, node, roles } of signed) {
    const signer = signers.get(signerId(node));
    const allowed = trusted.rolesOf(node.key_id, node.id);
    if (allowed !== undefined && roles.some((role) => allowed.has(role))) continue;
    if (signer !== undefined) signer.trusted = false;
    const why = allowed === undefined ? 'is not in the trust file' : `is not trusted as ${roles.join(' or ')}`;
    findings.untrusted(where, `the key ${short(node.key_id)} of "${node.id}" ${why}`);
  }
  return `${counted(signers.size, 'signer')}, all trusted`;
}

const signerId = ({ id, key_id }: { id: string; key_id: string }): string => `${key_id} ${id}`;
