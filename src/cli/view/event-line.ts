import type { StreamEvent } from '../../compose/offline.ts';
import { duration, printable } from '../terminal.ts';

const time = (at: number): string => new Date(at).toISOString().slice(11, 23);

/** One event as one line, for pipes and logs. */
export function eventLine(item: StreamEvent): string {
  const { event } = item;
  const text = printable(textOf(event)).replaceAll(/\s*\n\s*/g, ' ');
  return `${time(event.at)}  ${event.kind.padEnd(16)}  ${text}`.trimEnd();
}

function textOf(event: StreamEvent['event']): string {
  switch (event.kind) {
    case 'run.started':
      return `${event.workflow.workflow}, ${event.workflow.steps.length} steps`;
    case 'run.cancelling':
      return event.why;
    case 'run.completed':
      return `${event.status}${event.error === undefined ? '' : `: ${event.error.message}`}  root ${event.merkle_root}`;
    case 'step.assigned':
      return `${event.step} → ${event.node}  attempt ${event.attempt}  (${event.reason.text})`;
    case 'step.succeeded':
      return `${event.step}  ${event.node}  ${duration(event.latency_ms)}`;
    case 'step.failed':
      return `${event.step}  ${event.node}  ${event.error.code}: ${event.error.message}`;
    case 'step.retrying':
      return `${event.step}  ${event.node}  ${event.error.code}: ${event.error.message}; again at ${time(event.retry_at)}`;
    case 'step.reassigned':
      return `${event.step}  left ${event.node}: ${event.why}`;
    case 'step.cancelled':
      return `${event.step}  ${event.node}: ${event.why}`;
    case 'step.checkpoint':
      return `${event.step}  attempt ${event.attempt}`;
    case 'evidence.refused':
      return `${event.step}  ${event.node}: ${event.why}`;
    case 'step.progress':
      return `${event.step}  ${event.fraction === null ? '' : `${Math.round(event.fraction * 100)} % `}${event.note}`;
    case 'step.log':
      return `${event.step}  ${event.node}  ${event.level}: ${event.text}`;
    case 'step.waiting':
      return `${event.step}: ${event.why}`;
  }
}
