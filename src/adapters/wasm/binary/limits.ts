/** What a module may have at most, below what V8 takes, so that no module costs much before it is refused. */
export const moduleLimits = {
  sizeBytes: 64 * 1024 * 1024,
  types: 100_000,
  paramsOfType: 1000,
  resultsOfType: 1000,
  imports: 10_000,
  /** V8 takes 1,000,000; the rewriter adds a few. */
  functions: 999_000,
  tables: 100,
  globals: 999_000,
  exports: 100_000,
  elementSegments: 100_000,
  elements: 1_000_000,
  dataSegments: 99_000,
  customSections: 10_000,
  nameBytes: 100_000,
  /** V8 takes 50,000; the rewriter adds a few. */
  localsOfFunction: 49_990,
  /** As in V8. */
  functionBytes: 7_654_321,
  /** Of the rewritten module. */
  codeBytes: 640 * 1024 * 1024,
  /** As in V8. */
  branchTargets: 65_520,
  operandStack: 1_000_000,
  memoryPages: 65_536,
} as const;
