/** Stable codes of the errors that the engine itself raises. Adapters add their own, which are plain strings. */
export const errorCodes = [
  'INVALID_WORKFLOW',
  'INVALID_INPUT',
  'INVALID_CONFIG',
  'INVALID_MESSAGE',
  'INVALID_JSON',
  'NOT_I_JSON',
  'NOT_FOUND',
  'NOT_AVAILABLE_YET',
  'CLOSED',
  'OVERLOADED',
  'LIMIT_EXCEEDED',
  'CONFLICT',
  'UNAUTHORIZED',
  'NODE_UNREACHABLE',
  'NODE_LOST',
  'NODE_REFUSED',
  'PROTOCOL_VERSION',
  'FENCED',
  'STORE_FAILED',
  'STORE_CORRUPT',
  'BAD_EVIDENCE',
  'NOT_TRUSTED',
  'STEP_FAILED',
  'STEP_TIMEOUT',
  'STEP_CANCELLED',
  'INVALID_PARAMS',
  'INVALID_OUTPUT',
  'REFERENCE_FAILED',
  'ADAPTER_CRASHED',
  'UNSCHEDULABLE',
  'SECRET_NOT_FOUND',
  'INTERNAL',
] as const;
/** The code of a `JSONFlowError`. */
export type ErrorCode = (typeof errorCodes)[number];

export interface ErrorOptions {
  /** What the reader should do next, as one sentence. */
  hint?: string;
  /** Whether trying the same thing again may succeed. Default false. */
  retriable?: boolean;
  cause?: unknown;
  /** Machine-readable facts. Never a secret. */
  details?: Record<string, unknown>;
}

/** The one error class that crosses a public boundary: `switch` on `code`, show `message` and `hint`. */
export class JSONFlowError extends Error {
  override readonly name: string = 'JSONFlowError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retriable: boolean;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.retriable = options.retriable ?? false;
    this.details = options.details;
  }
}

/** The evidence itself is bad: a digest, a signature or a proof does not hold. */
export class EvidenceError extends JSONFlowError {
  override readonly name = 'EvidenceError';
  constructor(message: string, options: ErrorOptions = {}) {
    super('BAD_EVIDENCE', message, options);
  }
}

/** The evidence holds, but a policy does not allow it, such as a signer who is not trusted. */
export class PolicyError extends JSONFlowError {
  override readonly name = 'PolicyError';
  constructor(message: string, options: ErrorOptions = {}) {
    super('NOT_TRUSTED', message, options);
  }
}

/** A failure of one step, as an adapter raises it; `code` is the adapter's own, `retryable` says whether an attempt may follow. */
export class StepError extends Error {
  override readonly name = 'StepError';
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** What was thrown, as an error of ours: anything else is a defect, and says so. */
export const asError = (thrown: unknown): JSONFlowError =>
  thrown instanceof JSONFlowError ? thrown : new JSONFlowError('INTERNAL', messageOf(thrown), { cause: thrown });

/** The message of anything that was thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
