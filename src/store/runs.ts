import { JSONFlowError } from '../lib/errors.ts';
import type { Append, RunQuery, RunRow } from '../ports/store.ts';
import type { RunEvent, RunEventOf, RunStarted } from '../protocol/events.ts';

// What every driver must decide in the same way: which appends are sound, what a run's row says, and how pages are cut.

const PAGE_DEFAULT = 50;
const PAGE_MAX = 500;

/**
 * Checks what no caller may get wrong, before the append is queued.
 * @throws JSONFlowError INTERNAL
 */
export function checkAppend(append: Append): void {
  const { run_id, seq, events } = append;
  const refuse = (what: string): never => {
    throw new JSONFlowError('INTERNAL', `bad append to the journal of run ${run_id}: ${what}`, {
      hint: 'Please report this.',
    });
  };
  if (typeof run_id !== 'string' || run_id === '') refuse('it has no run id');
  if (!Number.isSafeInteger(seq) || seq < 0) refuse(`sequence number ${seq}`);
  if (events.length === 0) refuse('it holds no events');
  if (append.claims !== undefined && seq !== 0) refuse('only the start of a run takes claims');
  events.forEach((event, index) => {
    const first = seq === 0 && index === 0;
    if (first !== (event.kind === 'run.started')) refuse(`event ${seq + index} is ${event.kind}`);
    if (!Number.isFinite(event.at)) refuse(`event ${seq + index} has no time`);
  });
}

export const startedOf = (events: readonly RunEvent[]): RunStarted | undefined =>
  events[0]?.kind === 'run.started' ? events[0] : undefined;

export const completedOf = (events: readonly RunEvent[]): RunEventOf<'run.completed'> | undefined =>
  events.find((event) => event.kind === 'run.completed');

/** A run's row at its start. */
export function startedRow(runId: string, event: RunStarted): RunRow {
  return {
    run_id: runId,
    workflow: event.workflow.workflow,
    tenant_id: event.tenant_id,
    status: 'running',
    idempotency_key: event.idempotency_key ?? null,
    workflow_digest: event.workflow_digest,
    started_at: event.at,
    finished_at: null,
    steps_total: event.workflow.steps.length,
  };
}

/** Where a page ends; runs are ordered by time, then by id. */
export interface Place {
  started_at: number;
  run_id: string;
}

/** Later than every run. */
const END: Place = { started_at: Number.MAX_SAFE_INTEGER, run_id: '' };

export const cursorOf = (place: Place): string =>
  Buffer.from(JSON.stringify([place.started_at, place.run_id])).toString('base64url');

/**
 * Where a page begins, and how many rows it holds.
 * @throws JSONFlowError INVALID_INPUT
 */
export function pageOf(query: RunQuery): { before: Place; size: number } {
  const size = query.limit ?? PAGE_DEFAULT;
  if (!Number.isSafeInteger(size) || size < 1)
    throw new JSONFlowError('INVALID_INPUT', `limit ${size} is not a positive whole number`, {
      hint: `Use 1 to ${PAGE_MAX}.`,
    });
  return { before: query.cursor === undefined ? END : parseCursor(query.cursor), size: Math.min(size, PAGE_MAX) };
}

function parseCursor(cursor: string): Place {
  try {
    const [started_at, run_id, ...rest] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
    if (Number.isFinite(started_at) && typeof run_id === 'string' && rest.length === 0)
      return { started_at: started_at as number, run_id };
  } catch {
    // Reported below, like every other malformed cursor.
  }
  throw new JSONFlowError('INVALID_INPUT', 'the cursor is not one of this list', {
    hint: 'Leave it out to start at the newest run.',
  });
}

/** @throws JSONFlowError INVALID_INPUT: a digest becomes a path, so nothing else may pass */
export function checkDigest(digest: string): void {
  if (!/^[0-9a-f]{64}$/.test(digest))
    throw new JSONFlowError('INVALID_INPUT', 'a blob is named by its SHA-256, 64 lower-case hexadecimal digits');
}

export const fenced = (append: Append, newest: number): JSONFlowError =>
  new JSONFlowError('FENCED', `epoch ${append.epoch} may not write: the newest is ${newest}`, {
    hint: 'Another coordinator has taken over this journal; stop this one.',
    details: { run_id: append.run_id, epoch: append.epoch, newest },
  });

export const wrongSeq = (append: Append, next: number): JSONFlowError =>
  new JSONFlowError('CONFLICT', `run ${append.run_id}: event ${append.seq} can't follow, the next is ${next}`, {
    details: { run_id: append.run_id, seq: append.seq, next },
  });

export const keyTaken = (append: Append): JSONFlowError =>
  new JSONFlowError('CONFLICT', `run ${append.run_id}: another run has its idempotency key`, {
    details: { run_id: append.run_id },
  });

export const claimTaken = (append: Append): JSONFlowError =>
  new JSONFlowError('CONFLICT', `run ${append.run_id}: another run has taken one of its claims`, {
    details: { run_id: append.run_id },
  });

/** `=` keeps "no tenant" apart from every name. */
export const tenantKey = (tenantId: string | null): string => (tenantId === null ? '' : `=${tenantId}`);

export const otherKey = (nodeId: string): JSONFlowError =>
  new JSONFlowError('CONFLICT', `node ${nodeId} is enrolled with another key`, {
    hint: 'Give the node another id, or restore its first key.',
    details: { node_id: nodeId },
  });

export const storeClosed = (): JSONFlowError =>
  new JSONFlowError('CLOSED', 'the store is closed', { hint: 'Open it again.' });
