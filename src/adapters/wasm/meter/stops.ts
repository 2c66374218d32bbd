/** Bits of `jsonflow:stop`: why the rewriter's own code stopped, in the lower byte, and what the policy refused before that. */
export const stops = { fuel: 1, depth: 2, memory: 256, table: 512 } as const;
