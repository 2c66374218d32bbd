import { verifyBundle } from '../src/core/receipt/verify.ts';
import type { Submission } from './client.ts';
import type { CoordinatorProcess } from './coordinator-process.ts';
import type { RunRecord } from './journal.ts';
import type { World } from './world.ts';

/** Failures that a sound workflow may end with when its nodes go away too often. */
const excuses: ReadonlySet<string> = new Set(['NODE_LOST', 'UNSCHEDULABLE']);

/** Whether nothing is left to happen: all runs have ended, everybody knows, and no worker waits for an answer. */
export const isQuiet = ({ journal, client, holding, coordinator }: World): boolean =>
  coordinator?.ready === true &&
  holding === 0 &&
  client.busy === 0 &&
  [...journal.runs.values()].every(({ ended }) => ended !== undefined);

/** What is left undone, for the report. */
export function describeUnfinished({ journal, client, holding }: World): string {
  const runs = [...journal.runs].filter(([, { ended }]) => ended === undefined);
  const steps = runs.map(([id, run]) => `${id} (${stepsOf(run)})`);
  const waiting = client.submissions.filter(({ result }) => result === undefined).map(({ runId }) => runId);
  return `unfinished: ${steps.join('; ') || 'none'}; without a result: ${waiting.join(', ') || 'none'}; workers hold ${holding}`;
}

const stepsOf = ({ started, steps }: RunRecord): string =>
  started.workflow.steps
    .map(({ id }) => {
      const step = steps.get(id);
      return `${id} ${step?.state ?? 'untouched'}${step?.state === 'assigned' ? ` on ${step.attempts.get(step.last)?.node}` : ''}`;
    })
    .join(', ');

/** Looks at every run as a user would, after all is over. */
export async function checkOutcome(world: World, coordinator: CoordinatorProcess): Promise<void> {
  const { journal, client, report } = world;
  world.effects.checkCommits();
  if (coordinator.own?.worker.connected === false)
    report.violation('everything ends', 'the worker within the coordinator has left it');
  const trust = await coordinator.api.trust();
  for (const runId of journal.runs.keys()) {
    const bundle = await coordinator.api.bundle(runId);
    const verdict = verifyBundle(bundle, { trust });
    if (!verdict.ok || !verdict.pinned)
      report.violation(
        'bundles verify',
        `${runId}: ${verdict.problems.map(({ where, message }) => `${where}: ${message}`).join('; ')}`,
      );
    report.log(`bundle of ${runId}: ${verdict.status}`);
  }
  for (const submission of client.submissions) await checkSubmission(world, coordinator, submission);
}

async function checkSubmission(
  { report, journal }: World,
  coordinator: CoordinatorProcess,
  submission: Submission,
): Promise<void> {
  const { runId, job, cancelled, result: seen } = submission;
  const result = await coordinator.api.result(runId);
  const record = journal.runs.get(runId);
  if (record === undefined) return report.violation('no run is lost', runId);
  if (seen?.merkle_root !== result.merkle_root || seen.status !== result.status)
    report.violation('what was told stays', `${runId} was ${seen?.status}, and is ${result.status} now`);
  if (result.status === 'completed' && job.resultRoot !== undefined && result.result_root !== job.resultRoot)
    report.violation('the result is right', `${runId} gave ${result.result_root} instead of ${job.resultRoot}`);
  if (result.status === 'completed' && job.broken)
    report.violation('the result is right', `${runId} completed, though a step always fails`);
  if (result.status === 'cancelled' && !cancelled) report.violation('cancelled only when asked', runId);
  if (job.sound && !cancelled && result.status !== 'completed' && !excuses.has(result.error?.code ?? ''))
    report.violation('sound work completes', `${runId} is ${result.status}: ${result.error?.message}`);
}
