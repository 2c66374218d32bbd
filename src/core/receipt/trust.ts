import { parsePublicKey } from '../../lib/ed25519.ts';
import { JSONFlowError, messageOf } from '../../lib/errors.ts';
import type { PublicKeyEntry, TrustFile } from '../../protocol/receipt.ts';
import { digest, list, literal, name, object, text } from './fields.ts';

export type Role = 'coordinator' | 'worker';

const publicKeyFields = { node_id: name, key_id: digest, public_key: text };
export const publicKeyEntry = object<PublicKeyEntry>(publicKeyFields);

const trustFile = object<TrustFile>({
  jsonflow_trust: literal(1),
  keys: list(
    object<TrustFile['keys'][number]>({ ...publicKeyFields, roles: list(literal('coordinator', 'worker'), 2) }, [
      'roles',
    ]),
  ),
});

/**
 * Checks a trust file, as read from JSON: shape, soundness of the keys, key ids recomputed.
 *
 * @throws JSONFlowError INVALID_CONFIG
 */
function parseTrust(value: unknown): TrustFile {
  const expected = trustFile(value);
  if (expected !== undefined) throw invalid(`the trust file must be ${expected}`);
  const trust = value as TrustFile;
  for (const [index, { key_id, public_key }] of trust.keys.entries()) {
    let actual: string;
    try {
      actual = parsePublicKey(public_key).keyId;
    } catch (thrown) {
      throw invalid(`keys[${index}] of the trust file: ${messageOf(thrown)}`);
    }
    if (actual !== key_id) throw invalid(`keys[${index}] of the trust file: the key id of this key is ${actual}`);
  }
  return trust;
}

/** Answers for which roles a key is accepted. */
export class TrustedKeys {
  readonly #roles = new Map<string, Set<Role>>();

  /** @throws JSONFlowError INVALID_CONFIG where the trust file is malformed */
  constructor(trust: TrustFile) {
    for (const { node_id, key_id, roles } of parseTrust(trust).keys) {
      const id = `${key_id} ${node_id}`;
      const known = this.#roles.get(id) ?? new Set();
      for (const role of roles ?? (['coordinator', 'worker'] as const)) known.add(role);
      this.#roles.set(id, known);
    }
  }

  /** The roles that this key has under this node's name; undefined where the pair is not trusted at all. */
  rolesOf(keyId: string, nodeId: string): ReadonlySet<Role> | undefined {
    return this.#roles.get(`${keyId} ${nodeId}`);
  }
}

const invalid = (message: string): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', message, {
    hint: 'Write it with "jsonflow keys", and check the fingerprints over a second channel.',
  });
