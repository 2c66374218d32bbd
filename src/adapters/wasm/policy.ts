import type { Policy } from './types.ts';

/** What bounds every module, whatever its step asks for. The depth fits into the stack of the sandbox's threads. */
export const policyLimits = { tableElementsMax: 1_000_000, callDepthMax: 10_000 } satisfies Partial<Policy>;
