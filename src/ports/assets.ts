/** A file that steps use as it is: a WebAssembly module, a model. */
export interface Asset {
  /** SHA-256 of its bytes, hexadecimal. */
  digest: string;
  size: number;
  /** @throws JSONFlowError CONFLICT where the file has changed since */
  read(): Promise<Uint8Array>;
}

/** The files that a node offers to steps by name. */
export interface Assets {
  /**
   * @param name a path within the node's folders, `/` between its parts, or `sha256:` and a digest
   * @returns nothing where there is none
   * @throws JSONFlowError LIMIT_EXCEEDED where the file is too large, INVALID_CONFIG where it can't be read
   */
  find(name: string): Promise<Asset | undefined>;
  /** The folders, for errors. */
  readonly places: readonly string[];
}

/** An asset's digest where it is named by that. */
export const assetDigest = (name: string): string | undefined => /^sha256:([0-9a-f]{64})$/.exec(name)?.[1];

/** Whether a param's text may be the name of an asset: no URL, no reference, no path that leads out of a folder. */
export function isAssetName(text: string): boolean {
  if (text.length > 256) return false;
  return (
    assetDigest(text) !== undefined ||
    /^(?:\.?\/)?[A-Za-z0-9][A-Za-z0-9 ._-]*(?:\/[A-Za-z0-9][A-Za-z0-9 ._-]*)*$/.test(text)
  );
}
