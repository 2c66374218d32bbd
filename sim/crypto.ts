import { createHash } from 'node:crypto';
import { ephemeralIdentity, syncVerifier } from '../src/identity/identity.ts';
import type { SignatureVerifier, Signer } from '../src/ports/signer.ts';
import type { ProcessClock } from './clock.ts';
import type { SeededRandom } from './random.ts';

const rememberedMax = 4_096;

/** Real Ed25519. Keys are made once a process, and the second run of a seed meets only signatures that the first has computed. */
export class Keys {
  readonly #signers = new Map<string, Signer>();
  readonly #signatures = new Map<string, Uint8Array>();
  readonly #verdicts = new Map<string, boolean>();
  readonly #verifier = syncVerifier();

  signer(name: string): Signer {
    const known = this.#signers.get(name);
    if (known !== undefined) return known;
    const identity = ephemeralIdentity(createHash('sha256').update(`simulated node ${name}`).digest());
    const signer: Signer = {
      keyId: identity.keyId,
      publicKey: identity.publicKey,
      sign: async (data) => {
        const id = digest(identity.keyId, data);
        return this.#signatures.get(id) ?? remember(this.#signatures, id, await identity.sign(data));
      },
    };
    this.#signers.set(name, signer);
    return signer;
  }

  readonly verifier: SignatureVerifier = {
    verify: async (publicKey, data, signature) => {
      const id = digest(publicKey, data, signature);
      return (
        this.#verdicts.get(id) ?? remember(this.#verdicts, id, await this.#verifier.verify(publicKey, data, signature))
      );
    },
  };
}

/** The same, taking a while now and then, as a busy thread pool does. */
export function slowSigner(signer: Signer, clock: ProcessClock, random: SeededRandom, msMax: number): Signer {
  if (msMax === 0) return signer;
  return {
    ...signer,
    sign: async (data) => {
      await clock.sleep(random.skewed(0, msMax));
      return signer.sign(data);
    },
  };
}

export function slowVerifier(
  verifier: SignatureVerifier,
  clock: ProcessClock,
  random: SeededRandom,
  msMax: number,
): SignatureVerifier {
  if (msMax === 0) return verifier;
  return {
    verify: async (...args) => {
      await clock.sleep(random.skewed(0, msMax));
      return verifier.verify(...args);
    },
  };
}

function digest(key: string, ...parts: Uint8Array[]): string {
  const hash = createHash('sha256').update(key);
  for (const part of parts) hash.update(part);
  return hash.digest('base64');
}

function remember<T>(map: Map<string, T>, id: string, value: T): T {
  for (const oldest of map.keys()) {
    if (map.size < rememberedMax) break;
    map.delete(oldest);
  }
  map.set(id, value);
  return value;
}
