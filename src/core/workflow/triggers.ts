import { isObject, type JSONObject } from '../../lib/json.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';
import type { MqTrigger } from '../../protocol/workflow.ts';
import { checkParamsAt } from './params.ts';
import { findReferences } from './references.ts';
import { quoted, type Report } from './report.ts';

/** The step type whose params a trigger's are. */
const triggerStepTypes: Readonly<Record<MqTrigger['type'], string>> = { mq: 'mq_consume' };

export const triggerIdOf = (trigger: MqTrigger): string => trigger.id ?? trigger.type;

/** Reports triggers that share an id, refer to what only a run has, or could never receive anything. */
export function checkTriggers(
  triggers: readonly unknown[],
  stepTypes: ReadonlyMap<string, StepTypeManifest> | undefined,
  report: Report,
): void {
  const seen = new Set<string>();
  for (const [index, trigger] of triggers.entries()) {
    if (!isObject(trigger) || trigger.type !== 'mq' || !isObject(trigger.params)) continue;
    const id = triggerIdOf(trigger as unknown as MqTrigger);
    const at = ['triggers', index];
    if (seen.has(id))
      report.add(
        'DUPLICATE_ID',
        trigger.id === undefined ? at : [...at, 'id'],
        `another trigger has the id ${quoted(id)}`,
        {
          suggestion: 'Give each trigger its own "id".',
        },
      );
    seen.add(id);
    for (const { at: inside } of findReferences(trigger.params))
      report.add(
        'UNKNOWN_REFERENCE',
        [...at, 'params', ...inside],
        'a trigger is there before any run, so it can refer to nothing',
        {
          suggestion: 'Write the value itself, or a vault pointer.',
        },
      );
    const manifest = stepTypes?.get(triggerStepTypes.mq);
    if (manifest !== undefined) checkParamsAt(trigger.params as JSONObject, [...at, 'params'], manifest, report);
  }
}
