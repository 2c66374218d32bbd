import { type ErrorCode, JSONFlowError } from '../lib/errors.ts';

/** Codes that only HTTP knows, beside those of JSONFlowError. */
const httpCodes = ['FORBIDDEN', 'METHOD_NOT_ALLOWED', 'UNSUPPORTED_MEDIA_TYPE', 'RATE_LIMITED'] as const;
export type ProblemCode = ErrorCode | (typeof httpCodes)[number];

/** A problem of RFC 9457 with the members that JSONFlow adds: `code`, `hint`, and `problems` for validation. */
interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ProblemCode;
  hint?: string;
  /** Every single finding, where a workflow, body or query was refused. */
  problems?: unknown[];
}

/** A refusal by the HTTP layer itself. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly code: ProblemCode;
  readonly hint: string | undefined;
  readonly headers: Record<string, string>;
  readonly problems: unknown[] | undefined;

  constructor(
    code: ProblemCode,
    message: string,
    options: { hint?: string; headers?: Record<string, string>; problems?: unknown[] } = {},
  ) {
    super(message);
    this.code = code;
    this.hint = options.hint;
    this.headers = options.headers ?? {};
    this.problems = options.problems;
  }
}

/** Status and title of every code that a client can meet; any other code is a defect of ours: 500. */
const known: Partial<Record<ProblemCode, readonly [status: number, title: string]>> = {
  INVALID_WORKFLOW: [422, 'The workflow is invalid'],
  INVALID_INPUT: [422, 'The input is invalid'],
  INVALID_PARAMS: [400, 'The request is invalid'],
  INVALID_JSON: [400, 'The body is not valid JSON'],
  NOT_I_JSON: [400, 'The body is not interoperable JSON'],
  NOT_FOUND: [404, 'There is no such thing'],
  METHOD_NOT_ALLOWED: [405, 'The method is not allowed here'],
  CONFLICT: [409, 'The request conflicts with the present state'],
  LIMIT_EXCEEDED: [413, 'A limit is exceeded'],
  UNSUPPORTED_MEDIA_TYPE: [415, 'The content type is not supported'],
  UNAUTHORIZED: [401, 'A valid token is needed'],
  FORBIDDEN: [403, 'The request is not allowed'],
  RATE_LIMITED: [429, 'Too many requests'],
  NOT_AVAILABLE_YET: [501, 'Not available yet'],
  OVERLOADED: [503, 'The coordinator is overloaded'],
  CLOSED: [503, 'The coordinator is closing'],
  STORE_FAILED: [503, 'The journal can not be written'],
  FENCED: [503, 'Another coordinator has taken over'],
  INTERNAL: [500, 'Unexpected error'],
};

/** The HTTP status of a code. */
export const statusOf = (code: ProblemCode): number => known[code]?.[0] ?? 500;

/** Describes anything thrown as a problem. What is not ours to show becomes a bare 500. */
function toProblem(thrown: unknown): Problem {
  const shown = thrown instanceof HttpProblem || thrown instanceof JSONFlowError;
  const code: ProblemCode = shown && known[thrown.code] !== undefined ? thrown.code : 'INTERNAL';
  const [status, title] = known[code] ?? [500, 'Unexpected error'];
  const problem: Problem = {
    type: `urn:jsonflow:problem:${code}`,
    title,
    status,
    // An unforeseen message may quote anything, a secret too: it stays inside.
    detail: shown && code !== 'INTERNAL' ? thrown.message : 'The coordinator met an error that it did not expect.',
    code,
  };
  if (shown && thrown.hint !== undefined) problem.hint = thrown.hint;
  const problems = shown && 'problems' in thrown ? thrown.problems : undefined;
  if (Array.isArray(problems)) problem.problems = problems;
  return problem;
}

/** The answer for anything thrown. */
export function problemResponse(thrown: unknown): Response {
  const problem = toProblem(thrown);
  const headers = new Headers({ 'content-type': 'application/problem+json' });
  if (thrown instanceof HttpProblem)
    for (const [name, value] of Object.entries(thrown.headers)) headers.set(name, value);
  if (problem.status === 401) headers.set('www-authenticate', 'Bearer realm="jsonflow"');
  if (problem.status === 503 && !headers.has('retry-after')) headers.set('retry-after', '1');
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}
