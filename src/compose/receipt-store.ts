import { signatureOf, signedBytes } from '../core/receipt/dsse.ts';
import { merkleProofs, receiptLeaf, verifyMerkleProof } from '../core/receipt/roots.ts';
import { decodeReceipt, decodeRunStatement } from '../core/receipt/statement.ts';
import { JSONFlowError } from '../lib/errors.ts';
import type { SignatureVerifier } from '../ports/signer.ts';
import type { Bundle, Envelope } from '../protocol/receipt.ts';
import type { MerkleProof } from '../protocol/result.ts';

/** Receipts of ended runs by step. Without a run id the newest run that this engine saw end is meant. */
export class ReceiptStore {
  readonly #bundleOf: (runId: string | undefined) => Promise<Bundle>;
  readonly #verifier: SignatureVerifier;

  constructor(bundleOf: (runId: string | undefined) => Promise<Bundle>, verifier: SignatureVerifier) {
    this.#bundleOf = bundleOf;
    this.#verifier = verifier;
  }

  /** Whether the step's last receipt is signed by the key of its node and stands in the run's Merkle tree. @throws JSONFlowError NOT_FOUND */
  async verifyReceipt(stepId: string, runId?: string): Promise<boolean> {
    const { bundle, envelope, proof } = await this.#find(stepId, runId);
    const { predicate } = decodeReceipt(envelope);
    const key = bundle.keys.find(
      ({ key_id, node_id }) => key_id === predicate.node.key_id && node_id === predicate.node.id,
    );
    if (key === undefined || !verifyMerkleProof(proof, envelope)) return false;
    if (!(await this.#isRoot(bundle, predicate.run_id, proof))) return false;
    return this.#verifier.verify(key.public_key, signedBytes(envelope), signatureOf(envelope));
  }

  /** Whether the coordinator signed this root for this run: a tree that anybody could build proves nothing. */
  async #isRoot(bundle: Bundle, runId: string, { root, tree_size }: MerkleProof): Promise<boolean> {
    const { predicate } = decodeRunStatement(bundle.run_statement);
    if (predicate.run_id !== runId || predicate.merkle_root !== root || predicate.tree_size !== tree_size) return false;
    const { id, key_id: keyId } = predicate.coordinator;
    const key = bundle.keys.find(({ key_id, node_id }) => key_id === keyId && node_id === id);
    if (key === undefined) return false;
    const { run_statement } = bundle;
    return this.#verifier.verify(key.public_key, signedBytes(run_statement), signatureOf(run_statement));
  }

  /** @throws JSONFlowError NOT_FOUND */
  async getMerkleProof(stepId: string, runId?: string): Promise<MerkleProof> {
    return (await this.#find(stepId, runId)).proof;
  }

  async #find(stepId: string, runId?: string): Promise<{ bundle: Bundle; envelope: Envelope; proof: MerkleProof }> {
    const bundle = await this.#bundleOf(runId);
    const index = bundle.receipts.findLastIndex((envelope) => decodeReceipt(envelope).predicate.step_id === stepId);
    const envelope = bundle.receipts[index];
    const proof = merkleProofs(bundle.receipts.map(receiptLeaf))[index];
    if (envelope === undefined || proof === undefined)
      throw new JSONFlowError('NOT_FOUND', `run ${bundle.run_id} has no receipt of a step ${stepId}`);
    return { bundle, envelope, proof };
  }
}
