/** A source of secrets. */
export interface Vault {
  /**
   * The secret's value.
   * @param name path of the secret, without `vault://`
   * @param version a fixed version; absent for the latest
   * @throws JSONFlowError SECRET_NOT_FOUND, which names the pointer and never a value
   */
  resolve(name: string, version?: string): Promise<string>;
}
