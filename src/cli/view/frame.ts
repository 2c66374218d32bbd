import { clip, duration, paint, printable, type Style } from '../terminal.ts';
import { countStates, type RunView, type StepState, type StepView } from './run-view.ts';

const looks: Readonly<Record<StepState, readonly [glyph: string, style: Style]>> = {
  waiting: ['○', 'gray'],
  running: ['▶', 'cyan'],
  retrying: ['↻', 'yellow'],
  succeeded: ['✔', 'green'],
  failed: ['✘', 'red'],
  stopped: ['–', 'gray'],
};

/** What deserves a line first, where not all steps have room. */
const urgency: Readonly<Record<StepState, number>> = {
  failed: 0,
  retrying: 1,
  running: 2,
  succeeded: 4,
  waiting: 3,
  stopped: 5,
};

export interface FrameSize {
  columns: number;
  rows: number;
}

/**
 * The lines that show a run: a header, then its steps, as many as the terminal has room for.
 * @param elapsedMs since the run started
 * @param now the coordinator's time, for steps that run
 */
export function frame(view: RunView, size: FrameSize, elapsedMs: number, now: number): string[] {
  const counts = countStates(view);
  const total = view.steps.size;
  const state = view.cancelling && view.status === 'running' ? 'cancelling' : view.status;
  const failed = counts.failed > 0 ? `  ${counts.failed} failed` : '';
  const header = `${view.workflow}  ${state}  ${counts.succeeded}/${total}${failed}  ${duration(elapsedMs)}  ${view.runId}`;
  const lines = [paint('bold', clip(printable(header), size.columns - 1))];
  const steps = [...view.steps.values()];
  const room = Math.max(1, size.rows - 3);
  const shown = steps.length <= room ? steps : mostUrgent(steps, room - 1);
  const idWidth = widest(shown, (step) => step.id, Math.floor(size.columns / 3));
  const typeWidth = widest(shown, (step) => step.type, Math.floor(size.columns / 4));
  const nodeWidth = widest(shown, (step) => step.node, Math.floor(size.columns / 5));
  for (const step of shown) {
    const [glyph, style] = looks[step.state];
    const columns = [
      printable(step.id).padEnd(idWidth).slice(0, idWidth),
      printable(step.type).padEnd(typeWidth).slice(0, typeWidth),
      printable(step.node).padEnd(nodeWidth).slice(0, nodeWidth),
      timeOf(step, now).padStart(9),
      printable(step.note).replaceAll(/\s+/g, ' '),
    ];
    lines.push(`${paint(style, glyph)} ${clip(columns.join('  ').trimEnd(), Math.max(1, size.columns - 3))}`);
  }
  if (shown.length < steps.length)
    lines.push(
      paint(
        'gray',
        clip(`  … and ${steps.length - shown.length} more: ${counts.waiting} waiting in all`, size.columns - 1),
      ),
    );
  return lines;
}

/** Keeps the order of the workflow among the chosen. */
function mostUrgent(steps: readonly StepView[], room: number): StepView[] {
  const chosen = new Set(steps.toSorted((a, b) => urgency[a.state] - urgency[b.state]).slice(0, Math.max(0, room)));
  return steps.filter((step) => chosen.has(step));
}

const widest = (steps: readonly StepView[], of: (step: StepView) => string, max: number): number =>
  Math.min(Math.max(4, max), Math.max(1, ...steps.map((step) => of(step).length)));

function timeOf(step: StepView, now: number): string {
  if (step.state === 'running' && step.startedAt !== undefined) return duration(Math.max(0, now - step.startedAt));
  return step.latencyMs === undefined ? '' : duration(step.latencyMs);
}
