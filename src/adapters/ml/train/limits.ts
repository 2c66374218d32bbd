export const epochsDefault = 10;
export const batchSizeDefault = 32;
export const threadsMax = 64;
/** States that are larger aren't kept: as text they would not fit into one value. */
export const stateBytesMax: number = 128 * 1024 * 1024;
/** Numbers that the features and labels of one batch may have. */
export const batchNumbersMax: number = 256 * 1024 * 1024;
