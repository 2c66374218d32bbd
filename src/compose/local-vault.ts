import { join } from 'node:path';
import { LocalVault } from '../vault/local.ts';
import { vaultKeyFrom } from '../vault/unlock.ts';

/**
 * The encrypted secrets below a node's data directory, unlocked as the environment says. One place names the folder, so that the
 * command line and the node open the same store.
 */
export const openLocalVault = (
  dataDir: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<LocalVault> => LocalVault.open(join(dataDir, 'vault'), vaultKeyFrom(environment));
