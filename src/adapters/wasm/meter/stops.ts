/** Bits of `jsonflow:stop`: why the rewriter's own code stopped, in the lower byte, and what the policy refused before that. */
export const stops = { fuel: 1, depth: 2, memory: 256, table: 512 } as const;

/** What each page that the memory is to grow by costs, of which one has 64 KiB; a power of two. */
export const fuelPerPage = 64;
