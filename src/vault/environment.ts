import type { Vault } from '../ports/vault.ts';
import { secretNotFound } from './not-found.ts';

const PREFIX = 'JSONFLOW_VAULT_';
/** Unlocks the local store: no workflow may read it. */
export const PASSPHRASE_VARIABLE = `${PREFIX}PASSPHRASE`;
/** Names the file of `fileVault`; not a secret either. */
const FILE_VARIABLE = `${PREFIX}FILE`;
const reserved: readonly string[] = [PASSPHRASE_VARIABLE, FILE_VARIABLE];

/** The secrets file that the environment names, if any. */
export const secretsFileOf = (environment: Readonly<Record<string, string | undefined>>): string | undefined =>
  environment[FILE_VARIABLE] || undefined;

/** The variable of a secret: `db/main-password` is `JSONFLOW_VAULT_DB_MAIN_PASSWORD`. */
const variableOf = (name: string): string => PREFIX + name.toUpperCase().replace(/[^A-Z0-9]/g, '_');

/**
 * Secrets out of environment variables. They have no versions, so a pointer to a fixed version finds nothing here. An empty
 * variable counts as missing.
 */
export function environmentVault(environment: Readonly<Record<string, string | undefined>> = process.env): Vault {
  return {
    async resolve(name, version) {
      const variable = variableOf(name);
      const value = version === undefined && !reserved.includes(variable) ? environment[variable] : undefined;
      if (value === undefined || value === '') throw secretNotFound(name, version);
      return value;
    },
  };
}
