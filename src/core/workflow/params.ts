import { isObject, type JSONObject } from '../../lib/json.ts';
import type { JSONPath } from '../../lib/json-path.ts';
import { normaliseParamsSchema } from '../../lib/params-schema.ts';
import type { ParamsWarning } from '../../lib/validation-error.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';
import { certainErrors } from './certainty.ts';
import { explain } from './explain.ts';
import { alternatives, quoted, type Report } from './report.ts';
import { type Check, compileSchema } from './schema-check.ts';

/** A checker for each schema object that was seen; it goes when the schema goes. Null for a schema that can't be used. */
const checks = new WeakMap<JSONObject, Check | null>();
/** The same by the schema's text: a node that comes back announces equal schemas as new objects, and compiling is dear. */
const checksByText = new Map<string, Check | null>();
const checksByTextMax = 500;

/** Reports unknown step types, and params that no run of the step could accept. */
export function checkStepTypes(
  steps: readonly unknown[],
  stepTypes: ReadonlyMap<string, StepTypeManifest>,
  report: Report,
): void {
  const warned = new Set<string>();
  for (let index = 0; index < steps.length && !report.full; index++) {
    const step = steps[index];
    if (!isObject(step) || typeof step.type !== 'string' || step.type === '') continue;
    const manifest = stepTypes.get(step.type);
    if (manifest === undefined) {
      reportUnknownType(step.type, index, stepTypes, report);
      continue;
    }
    const check = checkFor(manifest);
    if (check === null) {
      if (!warned.has(step.type)) warnOfSchema(step.type, index, report);
      warned.add(step.type);
    } else if (check !== undefined && (step.params === undefined || isObject(step.params))) {
      checkParams((step.params ?? {}) as JSONObject, ['steps', index, 'params'], manifest, check, report);
    }
  }
}

/** What an adapter finds dangerous about params that are valid. */
export type Lint = (step: { id: string; type: string; params: JSONObject }) => readonly ParamsWarning[];

/** Reports what adapters find dangerous, step by step. Steps whose form is wrong are left out: that is reported elsewhere. */
export function warnOfSteps(steps: readonly unknown[], lint: Lint, report: Report): void {
  for (const [index, step] of steps.entries()) {
    if (!isObject(step) || typeof step.id !== 'string' || typeof step.type !== 'string' || !isObject(step.params))
      continue;
    const { id, type, params } = step;
    for (const { path, message, suggestion } of lint({ id, type, params: params as JSONObject }))
      report.add('RISKY_PARAMS', ['steps', index, 'params', ...path], message, { severity: 'warning', suggestion });
  }
}

function reportUnknownType(
  type: string,
  index: number,
  stepTypes: ReadonlyMap<string, StepTypeManifest>,
  report: Report,
): void {
  const few = stepTypes.size <= 12 ? `Known step types: ${alternatives([...stepTypes.keys()].sort())}.` : undefined;
  report.add('UNKNOWN_STEP_TYPE', ['steps', index, 'type'], `there is no step type ${quoted(type)}`, {
    suggestion: report.didYouMean(type, stepTypes.keys()) ?? few,
  });
}

function warnOfSchema(type: string, index: number, report: Report): void {
  report.add(
    'UNUSABLE_SCHEMA',
    ['steps', index, 'type'],
    `the params_schema of ${quoted(type)} can't be used, so params are checked only when the step runs`,
    { severity: 'warning', suggestion: 'Correct the params_schema in the manifest of the adapter.' },
  );
}

function checkFor({ params_schema }: StepTypeManifest): Check | null | undefined {
  if (params_schema === undefined) return undefined;
  let check = checks.get(params_schema);
  if (check === undefined) {
    check = checkForText(JSON.stringify(params_schema), params_schema);
    checks.set(params_schema, check);
  }
  return check;
}

function checkForText(text: string, schema: JSONObject): Check | null {
  const known = checksByText.get(text);
  if (known !== undefined) return known;
  let check: Check | null;
  try {
    check = compileSchema(normaliseParamsSchema(schema));
  } catch {
    check = null;
  }
  for (const oldest of checksByText.keys()) {
    if (checksByText.size < checksByTextMax) break;
    checksByText.delete(oldest);
  }
  checksByText.set(text, check);
  return check;
}

/** Reports params at a place that is no step's, where the schema can be used. */
export function checkParamsAt(params: JSONObject, at: JSONPath, manifest: StepTypeManifest, report: Report): void {
  const check = checkFor(manifest);
  if (check !== undefined && check !== null) checkParams(params, at, manifest, check, report);
}

function checkParams(params: JSONObject, at: JSONPath, manifest: StepTypeManifest, check: Check, report: Report): void {
  const errors = check(params);
  if (errors.length === 0) return;
  const schema = normaliseParamsSchema(manifest.params_schema);
  for (const { path, atKey, message, suggestion } of explain(certainErrors(errors, params), params, schema, report)) {
    report.add('INVALID_PARAMS', [...at, ...path], message, { atKey, suggestion });
  }
}
