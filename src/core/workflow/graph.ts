import { isObject } from '../../lib/json.ts';
import type { JSONPath } from '../../lib/json-path.ts';
import { stepIdPattern } from '../../protocol/workflow.ts';
import { cyclesOf } from './cycles.ts';
import { quoted, type Report } from './report.ts';
import { inputName, parseTemplate, type Target, visitStrings } from './template.ts';

interface Node {
  /** Empty where the step has no sound one. */
  id: string;
  /** Place in the workflow's list of steps. */
  index: number;
  step: Record<string, unknown>;
}

const validId = new RegExp(stepIdPattern);

/**
 * Reports what is wrong between the steps: ids, parents, references, cycles. Looks at whatever has the right form and skips the
 * rest, so that a mistake in one step doesn't hide those of others.
 */
export function checkGraph(steps: readonly unknown[], report: Report): void {
  const nodes: Node[] = [];
  const byId = new Map<string, number>();
  steps.forEach((step, index) => {
    if (!isObject(step)) return;
    const id = typeof step.id === 'string' && validId.test(step.id) ? step.id : '';
    const first = byId.get(id);
    if (id === inputName) {
      report.add(
        'RESERVED_ID',
        ['steps', index, 'id'],
        `"${inputName}" is the name of the run's input, so no step may bear it`,
      );
    } else if (first !== undefined) {
      report.add(
        'DUPLICATE_ID',
        ['steps', index, 'id'],
        `steps[${nodes[first]?.index}] has the id ${quoted(id)} already`,
        {
          suggestion: 'Give each step an id of its own.',
        },
      );
    } else if (id !== '') byId.set(id, nodes.length);
    nodes.push({ id, index, step });
  });
  const parents = nodes.map((node) => {
    const edges = new Set<number>();
    checkParents(node, byId, edges, report);
    checkReferences(node, byId, edges, report);
    return [...edges];
  });
  for (const cycle of cyclesOf(parents)) reportCycle(cycle, nodes, report);
}

function checkParents(node: Node, byId: ReadonlyMap<string, number>, edges: Set<number>, report: Report): void {
  const declared = node.step.parent_step_ids;
  if (!Array.isArray(declared)) return;
  const seen = new Set<string>();
  for (let place = 0; place < declared.length; place++) {
    const id: unknown = declared[place];
    if (typeof id !== 'string') continue;
    const path: JSONPath = ['steps', node.index, 'parent_step_ids', place];
    const parent = byId.get(id);
    if (seen.has(id)) {
      report.add('DUPLICATE_PARENT', path, `the parent ${quoted(id)} is named twice`, { severity: 'warning' });
    } else if (id === node.id) {
      report.add('SELF_PARENT', path, `the step ${quoted(id)} can't wait for itself`);
    } else if (parent !== undefined) edges.add(parent);
    else reportMissingParent(id, path, byId, report);
    seen.add(id);
  }
}

function reportMissingParent(id: string, path: JSONPath, byId: ReadonlyMap<string, number>, report: Report): void {
  const bare = id.replace(/^\$/, '').replace(/[.[].*$/s, '');
  if (bare === inputName) {
    report.add('INPUT_MISUSE', path, "the run's input is there from the beginning: it is no step to wait for", {
      suggestion: 'Leave it out here, and use $input inside params.',
    });
  } else if (bare !== id && byId.has(bare)) {
    report.add('MISSING_PARENT', path, `${quoted(id)} is a reference; a step id is expected here`, {
      suggestion: `Write ${quoted(bare)}.`,
    });
  } else {
    const suggestion = report.didYouMean(id, byId.keys());
    report.add('MISSING_PARENT', path, `there is no step ${quoted(id)}`, { suggestion });
  }
}

function checkReferences(node: Node, byId: ReadonlyMap<string, number>, edges: Set<number>, report: Report): void {
  visitStrings(
    node.step.params,
    (text, at) => {
      const template = parseTemplate(text);
      if (template?.kind === 'reference') checkTarget(template.target, node, at, byId, edges, report);
      else {
        for (const part of template?.parts ?? [])
          if (typeof part !== 'string') checkTarget(part, node, at, byId, edges, report);
        for (const malformed of template?.malformed ?? []) reportMalformed(malformed, at, report);
        warnOfLiteral(text, at, byId, report);
      }
    },
    ['steps', node.index, 'params'],
  );
}

function checkTarget(
  { stepId, text }: Target,
  node: Node,
  at: JSONPath,
  byId: ReadonlyMap<string, number>,
  edges: Set<number>,
  report: Report,
): void {
  if (stepId === null) return;
  const parent = byId.get(stepId);
  if (stepId === node.id) {
    report.add('SELF_REFERENCE', at, `${quoted(text)} refers to the output of the very step that uses it`);
  } else if (parent !== undefined) edges.add(parent);
  else {
    const meant = report.closest(stepId, names(byId));
    const literal = quoted(`$${text}`);
    report.add('UNKNOWN_REFERENCE', at, `${quoted(text)} refers to the step ${quoted(stepId)}, which doesn't exist`, {
      suggestion: `${meant === undefined ? '' : `Did you mean ${quoted(`$${meant}`)}? `}For the literal text write ${literal}.`,
    });
  }
}

function* names(byId: ReadonlyMap<string, number>): Generator<string> {
  yield inputName;
  yield* byId.keys();
}

function reportMalformed(text: string, at: JSONPath, report: Report): void {
  report.add('MALFORMED_REFERENCE', at, `${quoted(text)} is not a reference`, {
    suggestion: 'Write ${step.path[0].to}, without spaces and without a second "$"; for the literal text write $${.',
  });
}

/** Text such as `$load.rows[*]` or `$load.name, hello` is literal by rule, and hardly by intention. */
function warnOfLiteral(text: string, at: JSONPath, byId: ReadonlyMap<string, number>, report: Report): void {
  const name = /^\$([A-Za-z_][A-Za-z0-9_-]*)[.[]/.exec(text)?.[1];
  if (name === undefined || !(byId.has(name) || name === inputName)) return;
  report.add('LITERAL_REFERENCE', at, `${quoted(text)} begins like a reference, but as a whole it is literal text`, {
    severity: 'warning',
    suggestion: 'Write ${…} for a reference inside a longer text, or $$ at the beginning if the text is meant.',
  });
}

const namesShownMax = 20;

function reportCycle(cycle: { members: number; steps: number[] }, nodes: readonly Node[], report: Report): void {
  const [first, second] = cycle.steps.map((step) => nodes[step]);
  if (first === undefined || second === undefined) return;
  const names = cycle.steps.map((step) => nodes[step]?.id ?? '');
  const shown =
    names.length <= namesShownMax
      ? names
      : [...names.slice(0, namesShownMax - 1), `(${names.length - namesShownMax} more)`, ...names.slice(-1)];
  const caught = cycle.members > names.length ? `; ${cycle.members} steps are entangled in this way` : '';
  report.add(
    'CYCLE',
    edgePath(first, second.id),
    `steps wait for each other: ${[...shown, first.id].join(' → ')}${caught}`,
    {
      suggestion: 'Remove one of these dependencies. Each step waits for the next one named.',
    },
  );
}

/** Where a step says that it waits for another. */
function edgePath({ index, step }: Node, parentId: string): JSONPath {
  const declared = Array.isArray(step.parent_step_ids) ? step.parent_step_ids.indexOf(parentId) : -1;
  if (declared >= 0) return ['steps', index, 'parent_step_ids', declared];
  let path: JSONPath | undefined;
  visitStrings(
    step.params,
    (text, at) => {
      if (path !== undefined) return;
      const template = parseTemplate(text);
      if (template === undefined) return;
      const targets = template.kind === 'reference' ? [template.target] : template.parts;
      if (targets.some((target) => typeof target !== 'string' && target.stepId === parentId)) path = [...at];
    },
    ['steps', index, 'params'],
  );
  return path ?? ['steps', index];
}
