import type { DistributedResult } from '../../protocol/result.ts';
import { clip, duration, oneLine, paintOut, printable, table } from '../terminal.ts';

const OUTPUTS_SHOWN_MAX = 8;
const STEPS_SHOWN_MAX = 60;

const styles = { running: 'cyan', completed: 'green', failed: 'red', cancelled: 'yellow' } as const;

/** A result for people: status, steps with place and time, the last outputs, the roots. */
export function summary(result: DistributedResult, columns: number): string {
  const { stats, execution_trace: trace } = result;
  const parts = [
    `${paintOut(styles[result.status], result.status)}  ${oneLine(result.workflow_id)}  run ${oneLine(result.run_id)}\n`,
    `${stats.succeeded} of ${stats.total_steps} steps succeeded in ${duration(stats.total_time_ms)} on ${trace.nodes.length} node${trace.nodes.length === 1 ? '' : 's'}${extras(stats)}\n`,
  ];
  if (result.error !== undefined) {
    const { step_id: step, code, message } = result.error;
    parts.push(
      `${paintOut('red', 'Cause:')} ${oneLine(`${step === undefined ? '' : `step ${step}: `}${code}: `)}${printable(message)}\n`,
    );
  }
  const timeline = trace.timeline.slice(0, STEPS_SHOWN_MAX);
  if (timeline.length > 0) parts.push('\n', steps(timeline, columns));
  if (trace.timeline.length > timeline.length) parts.push(`  … and ${trace.timeline.length - timeline.length} more\n`);
  for (const [step, why] of Object.entries(result.waiting ?? {}).slice(0, OUTPUTS_SHOWN_MAX))
    parts.push(`  ${oneLine(`${step} waits: ${why}`)}\n`);
  const outputs = Object.entries(result.outputs);
  if (outputs.length > 0) parts.push('\nOutputs\n');
  if (outputs.length > OUTPUTS_SHOWN_MAX) parts.push(`  … ${outputs.length - OUTPUTS_SHOWN_MAX} before\n`);
  for (const [step, value] of outputs.slice(-OUTPUTS_SHOWN_MAX))
    parts.push(`  ${clip(oneLine(`${step}: ${JSON.stringify(value)}`), Math.max(20, columns - 3))}\n`);
  if (result.merkle_root !== null)
    parts.push(`\nMerkle root  ${oneLine(result.merkle_root)}\nResult root  ${oneLine(result.result_root ?? '')}\n`);
  return parts.join('');
}

const steps = (timeline: DistributedResult['execution_trace']['timeline'], columns: number): string =>
  table([
    ['STEP', 'NODE', 'ATTEMPT', 'OUTCOME', 'TIME', 'WHY THERE'],
    ...timeline.map((entry) => [
      oneLine(entry.step_id),
      oneLine(entry.node),
      String(entry.attempt),
      oneLine(entry.outcome),
      entry.latency_ms === null ? '' : duration(entry.latency_ms),
      clip(oneLine(entry.reason), Math.max(20, columns - 60)),
    ]),
  ]);

const extras = ({ failed, skipped, cancelled, retries, reassignments }: DistributedResult['stats']): string =>
  Object.entries({ failed, skipped, cancelled, retries, reassigned: reassignments })
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `, ${count} ${what}`)
    .join('');
