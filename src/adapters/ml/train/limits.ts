export const epochsDefault = 10;
export const batchSizeDefault = 32;
export const threadsMax = 64;
