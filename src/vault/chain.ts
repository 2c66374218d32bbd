import type { Vault } from '../ports/vault.ts';
import { isNotFound, secretNotFound } from './not-found.ts';

/** Asks the vaults in order and takes the first answer. An error other than SECRET_NOT_FOUND ends the search: a locked vault is not an empty one. */
export function chainVault(vaults: readonly Vault[]): Vault {
  return {
    async resolve(name, version) {
      for (const vault of vaults) {
        try {
          return await (version === undefined ? vault.resolve(name) : vault.resolve(name, version));
        } catch (thrown) {
          if (!isNotFound(thrown)) throw thrown;
        }
      }
      throw secretNotFound(name, version);
    },
  };
}
