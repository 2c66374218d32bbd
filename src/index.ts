// The public interface of the package.

export { DistributedEngine, type EngineConfig } from './compose/distributed-engine.ts';
export type { ValidationResult, VerifyReport } from './compose/offline.ts';
export { validateWorkflow, verifyBundle } from './compose/offline.ts';
export type { CoordinatorApi, CoordinatorHealth, CoordinatorStats, PassingEvent, StreamEvent } from './engine/api.ts';
export { type ErrorCode, EvidenceError, errorCodes, JSONFlowError, PolicyError, StepError } from './lib/errors.ts';
export type { JSONObject, JSONValue } from './lib/json.ts';
export { type ParamsWarning, type Problem, ValidationError } from './lib/validation-error.ts';
export type { Adapter, AdapterContext, AdapterHealth, AdapterStep, ReceiptLike } from './ports/adapter.ts';
export type { RunEvent } from './protocol/events.ts';
export type { AdapterManifest, StepTypeManifest } from './protocol/messages.ts';
export type {
  Bundle,
  Envelope,
  PublicKeyEntry,
  ReceiptPredicate,
  RunPredicate,
  RunStatus,
  StepFailure,
  TrustFile,
} from './protocol/receipt.ts';
export type {
  DistributedResult,
  MerkleProof,
  NetworkStatus,
  NodeStatus,
  Receipt,
  RunSummary,
  TimelineEntry,
} from './protocol/result.ts';
export { productVersion } from './protocol/version.ts';
export type { FaultTolerance, Step, Workflow } from './protocol/workflow.ts';
