/** Limits that every node keeps, so that no input can make one grow without bound. */
export const limits = {
  /** Size of a workflow's source. */
  workflowBytesMax: 32 * 1024 * 1024,
  stepsMax: 100_000,
  /** Steps that one step may wait for: an assignment and a receipt name each of them, and must fit into a frame. */
  parentsMax: 20_000,
  /** Length of an identifier: step, run, node, tenant. */
  idLengthMax: 128,
  /** Nesting of any JSON that is hashed or sent. */
  jsonDepthMax: 64,
  /** Nesting of a bundle, which wraps values of that depth. */
  bundleDepthMax: 72,
  /** A value whose canonical JSON is longer than this goes to the blob store and travels as its digest. */
  inlineBytesMax: 256 * 1024,
  /** The largest single value: an input or an output. */
  blobBytesMax: 256 * 1024 * 1024,
  /** Pieces in which a blob travels. */
  blobChunkBytes: 256 * 1024,
  /** One frame on a connection between nodes. */
  frameBytesMax: 16 * 1024 * 1024,
  /** Bytes that a connection holds back for a slow peer before `send` makes the caller wait. */
  sendBufferBytesMax: 4 * 1024 * 1024,
  /** Messages of a peer that has not proved its identity. */
  handshakeBytesMax: 256 * 1024,
  handshakeTimeoutMs: 10_000,
  retriesMax: 100,
  /** How often a step may lose its node before it is blamed for it. */
  nodeLossesMax: 5,
  httpBodyBytesMax: 32 * 1024 * 1024,
  /** Characters of an error's message, or of a reason, in a receipt or the journal. */
  errorLengthMax: 2_000,
  logLineBytesMax: 4 * 1024,
  logLinesPerStepMax: 1_000,
  /** Files that a step may name, and a run's steps together. */
  assetsPerStepMax: 64,
  assetsPerRunMax: 1_000,
} as const;
