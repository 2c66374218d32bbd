import { JSONFlowError } from './errors.ts';
import type { PathSegment } from './json-path.ts';

/** Stable codes of what can be wrong with a workflow. Those marked as warnings leave it valid. */
export const problemCodes = [
  'SYNTAX',
  'DUPLICATE_KEY',
  'NOT_I_JSON',
  'TOO_DEEP',
  'TOO_LARGE',
  'UNKNOWN_FIELD',
  'MISSING_FIELD',
  'WRONG_TYPE',
  'INVALID_VALUE',
  'DUPLICATE_ID',
  'RESERVED_ID',
  'UNKNOWN_STEP_TYPE',
  'MISSING_PARENT',
  'SELF_PARENT',
  /** Warning. */
  'DUPLICATE_PARENT',
  'INPUT_MISUSE',
  'CYCLE',
  'UNKNOWN_REFERENCE',
  'SELF_REFERENCE',
  'MALFORMED_REFERENCE',
  /** Warning: text that looks like a reference and is none. */
  'LITERAL_REFERENCE',
  'INVALID_PARAMS',
  /** Warning: the step type's own schema can't be used, so params are checked only when the step runs. */
  'UNUSABLE_SCHEMA',
  /** Warning: params that are valid, and that the step type's adapter takes for dangerous. */
  'RISKY_PARAMS',
  'CONFIRMATIONS_WITHOUT_CONSENSUS',
  /** More problems than are reported one by one. */
  'TOO_MANY_PROBLEMS',
] as const;
export type ProblemCode = (typeof problemCodes)[number];

/** What is wrong with a workflow, in one place of it. */
export interface Problem {
  code: ProblemCode;
  /** A workflow with an error is refused; a warning is only shown. */
  severity: 'error' | 'warning';
  /** Where, such as `steps[3].params.input`; `(root)` for the whole document. */
  path: string;
  /** Line in the source, from 1. Absent where the workflow came as an object. */
  line?: number;
  /** Column in the source in UTF-16 code units, from 1. */
  column?: number;
  /** What is wrong: what was expected and what was found, in one sentence. */
  message: string;
  /** What to do, such as `Did you mean "transform_map"?`. */
  suggestion?: string;
}

/** What an adapter finds dangerous about params that are valid. */
export interface ParamsWarning {
  /** From the params. */
  path: readonly PathSegment[];
  message: string;
  /** What to do instead, as a sentence. */
  suggestion?: string;
}

/** A workflow was refused; `problems` holds everything that is wrong with it. */
export class ValidationError extends JSONFlowError {
  override readonly name = 'ValidationError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const errors = problems.filter(({ severity }) => severity === 'error');
    const [first] = errors;
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
    super(
      'INVALID_WORKFLOW',
      `the workflow is invalid: ${first ? `${place(first)}: ${first.message}` : 'no reason'}${more}`,
      {
        hint: first?.suggestion ?? 'Correct the workflow and submit it again.',
        details: { problems },
      },
    );
    this.problems = problems;
  }
}

const place = ({ path, line, column }: Problem): string =>
  line === undefined ? path : `line ${line}, column ${column}, ${path}`;
