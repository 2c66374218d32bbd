import { JSONFlowError } from '../lib/errors.ts';

/** Exit codes, for scripts to rely on. */
export const exit = {
  ok: 0,
  runFailed: 1,
  usage: 2,
  notPinned: 3,
  verificationFailed: 4,
  unreachable: 5,
} as const;
export type ExitCode = (typeof exit)[keyof typeof exit];

/** The command line itself is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** A problem (RFC 9457) that a coordinator answered with. */
export class RemoteProblem extends Error {
  override readonly name = 'RemoteProblem';
  readonly code: string;
  readonly status: number;
  readonly hint: string | undefined;
  readonly problems: unknown;
  constructor(problem: { code: string; status: number; detail: string; hint?: string; problems?: unknown }) {
    super(problem.detail);
    this.code = problem.code;
    this.status = problem.status;
    this.hint = problem.hint;
    this.problems = problem.problems;
  }
}

const byCode: Readonly<Record<string, ExitCode>> = {
  INVALID_WORKFLOW: exit.usage,
  INVALID_INPUT: exit.usage,
  INVALID_CONFIG: exit.usage,
  INVALID_JSON: exit.usage,
  INVALID_PARAMS: exit.usage,
  NOT_I_JSON: exit.usage,
  NOT_FOUND: exit.usage,
  NOT_AVAILABLE_YET: exit.usage,
  SECRET_NOT_FOUND: exit.usage,
  UNAUTHORIZED: exit.usage,
  FORBIDDEN: exit.usage,
  CONFLICT: exit.usage,
  BAD_EVIDENCE: exit.verificationFailed,
  NOT_TRUSTED: exit.verificationFailed,
  NODE_UNREACHABLE: exit.unreachable,
  NODE_REFUSED: exit.unreachable,
  PROTOCOL_VERSION: exit.unreachable,
};

/** Exit code and the two lines for anything thrown: what is wrong, and what to do. */
export function describeFailure(thrown: unknown): { code: ExitCode; what: string; todo: string } {
  if (thrown instanceof UsageError) return { code: exit.usage, what: thrown.message, todo: thrown.hint };
  if (thrown instanceof JSONFlowError || thrown instanceof RemoteProblem)
    return {
      code: byCode[thrown.code] ?? exit.runFailed,
      what: thrown.message,
      todo: thrown.hint ?? 'Run "jsonflow doctor" to check this machine.',
    };
  if (isSystemError(thrown))
    return { code: exit.usage, what: thrown.message, todo: 'Check the path and its permissions.' };
  return {
    code: exit.runFailed,
    what: `unexpected error: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    todo: 'Set JSONFLOW_DEBUG=1 for the details, and please report this.',
  };
}

/** What a script reads of anything thrown, with the code of the error's class where it has none of its own. */
export function failureOf(thrown: unknown): { code: string; message: string; hint: string; problems?: unknown } {
  const { what, todo } = describeFailure(thrown);
  const problems = thrown instanceof Error && 'problems' in thrown ? thrown.problems : undefined;
  return { code: errorCodeOf(thrown), message: what, hint: todo, ...(problems === undefined ? {} : { problems }) };
}

function errorCodeOf(thrown: unknown): string {
  if (thrown instanceof UsageError) return 'USAGE';
  if (thrown instanceof JSONFlowError || thrown instanceof RemoteProblem) return thrown.code;
  return isSystemError(thrown) ? String(thrown.code) : 'INTERNAL';
}

const isSystemError = (thrown: unknown): thrown is NodeJS.ErrnoException =>
  thrown instanceof Error && 'syscall' in thrown && 'code' in thrown;
