import { isObject, type JSONValue } from '../../lib/json.ts';
import { formatPath } from '../../lib/json-path.ts';
import { type Problem, ValidationError } from '../../lib/validation-error.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';
import type { Workflow } from '../../protocol/workflow.ts';
import { checkGraph } from './graph.ts';
import { checkStepTypes, type Lint, warnOfSteps } from './params.ts';
import { parseSource } from './parse.ts';
import { type Plan, planWorkflow } from './plan.ts';
import { locate, reportDuplicateKeys } from './positions.ts';
import { readValue } from './read.ts';
import { type Finding, Report } from './report.ts';
import { checkShape } from './shape.ts';
import { checkTriggers } from './triggers.ts';

export interface ValidateOptions {
  /** The step types that exist, by type. Absent: types and params are not checked. */
  stepTypes?: ReadonlyMap<string, StepTypeManifest>;
  /** What is dangerous about a step though it is valid. Absent: nothing is looked for. */
  lint?: Lint;
}

export interface Validation {
  /** A copy of the workflow, present where no problem is an error. */
  workflow?: Workflow;
  /** In the order of the source where there is one. At most 1,000 errors and as many warnings. */
  problems: Problem[];
}

/**
 * Finds everything that is wrong with a workflow. Never throws on bad input.
 *
 * @param source the JSON text of a workflow, then problems carry line and column; or the workflow as an object
 */
export function validateWorkflow(source: unknown, options: ValidateOptions = {}): Validation {
  const report = new Report();
  // Editors on Windows begin files with a byte order mark, which RFC 8259 lets readers ignore.
  const text = typeof source === 'string' ? source.replace(/^\uFEFF/, '') : undefined;
  const value = text === undefined ? readValue(source, report)?.value : readText(text, report);
  if (value !== undefined) checkWorkflow(value, options, report);
  if (report.findings.length === 0) return { workflow: value as Workflow, problems: [] };
  // Places can't be looked up in text that is no JSON; syntax errors bring their own.
  if (text !== undefined && value !== undefined) locate(text, report.findings);
  const problems = report.findings.sort(byPosition).map(toProblem);
  if (report.full) {
    problems.push({
      code: 'TOO_MANY_PROBLEMS',
      severity: 'error',
      path: '(root)',
      message: 'further problems are not listed',
    });
  }
  return report.errors > 0 ? { problems } : { workflow: value as Workflow, problems };
}

/**
 * The plan of a workflow that is sound.
 *
 * @throws ValidationError (INVALID_WORKFLOW) with all problems
 */
export function checkedWorkflow(source: unknown, options: ValidateOptions = {}): Plan {
  const { workflow, problems } = validateWorkflow(source, options);
  if (workflow === undefined) throw new ValidationError(problems);
  return planWorkflow(workflow);
}

function readText(text: string, report: Report): JSONValue | undefined {
  const parsed = parseSource(text, report);
  if (parsed === undefined) return undefined;
  const reading = readValue(parsed.value, report);
  if (reading !== undefined && reading.members !== parsed.members) reportDuplicateKeys(text, report);
  return reading?.value;
}

function checkWorkflow(value: JSONValue, options: ValidateOptions, report: Report): void {
  checkShape(value, report);
  if (!isObject(value)) return;
  checkConsensus(value, report);
  if (Array.isArray(value.triggers)) checkTriggers(value.triggers, options.stepTypes, report);
  if (!Array.isArray(value.steps)) return;
  checkGraph(value.steps, report);
  if (options.stepTypes !== undefined) checkStepTypes(value.steps, options.stepTypes, report);
  if (options.lint !== undefined) warnOfSteps(value.steps, options.lint, report);
}

/** A number of confirmations without an agreement to count them is a safety that isn't there. */
function checkConsensus(workflow: Record<string, unknown>, report: Report): void {
  const { consensus } = workflow;
  const steps = Array.isArray(workflow.steps) ? workflow.steps.filter(isObject) : [];
  const always = isObject(consensus) && consensus.required === true;
  const suggestion = 'Set "consensus_required": true beside it, or "consensus": { "required": true } for the workflow.';
  if (isObject(consensus) && consensus.min_confirmations !== undefined && !always) {
    if (!steps.some((step) => step.consensus_required === true)) {
      report.add(
        'CONFIRMATIONS_WITHOUT_CONSENSUS',
        ['consensus', 'min_confirmations'],
        'min_confirmations has no effect: neither the workflow nor any step requires consensus',
        { suggestion: 'Set "required": true beside it.' },
      );
    }
  }
  (Array.isArray(workflow.steps) ? workflow.steps : []).forEach((step, index) => {
    if (!isObject(step) || step.min_confirmations === undefined) return;
    if (step.consensus_required === true || (always && step.consensus_required !== false)) return;
    report.add(
      'CONFIRMATIONS_WITHOUT_CONSENSUS',
      ['steps', index, 'min_confirmations'],
      'min_confirmations has no effect: the step does not require consensus',
      { suggestion },
    );
  });
}

const byPosition = (a: Finding, b: Finding): number =>
  (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);

function toProblem({ code, severity, path, message, suggestion, line, column }: Finding): Problem {
  return {
    code,
    severity,
    path: formatPath(path),
    ...(line === undefined || column === undefined ? {} : { line, column }),
    message,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}
