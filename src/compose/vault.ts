import type { Vault } from '../ports/vault.ts';
import { chainVault } from '../vault/chain.ts';
import { environmentVault, secretsFileOf } from '../vault/environment.ts';
import { fileVault } from '../vault/file.ts';
import { openLocalVault } from './local-vault.ts';

function fromEnvironment(): Vault[] {
  const file = secretsFileOf(process.env);
  return [environmentVault(), ...(file === undefined ? [] : [fileVault(file)])];
}

/**
 * Where a node looks for secrets unless told otherwise: the environment, the file that it names, then the encrypted store in its data
 * directory.
 */
export function defaultVault(dataDir: string | false): Vault {
  if (dataDir === false) return chainVault(fromEnvironment());
  let opened: Promise<Vault> | undefined;
  const local: Vault = {
    // Opened when first needed: most nodes never do, and a passphrase takes a while to derive a key from.
    async resolve(name, version) {
      opened ??= openLocalVault(dataDir, process.env).catch((thrown: unknown) => {
        opened = undefined;
        throw thrown;
      });
      const vault = await opened;
      return version === undefined ? vault.resolve(name) : vault.resolve(name, version);
    },
  };
  return chainVault([...fromEnvironment(), local]);
}
