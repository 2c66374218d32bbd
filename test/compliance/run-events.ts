import { sha256 } from '../../src/lib/hash.ts';
import type { RunEvent } from '../../src/protocol/events.ts';
import { journalVersion } from '../../src/protocol/events.ts';
import { payloadType } from '../../src/protocol/receipt.ts';

/** Digest of the workflow in these events. */
export const digest = sha256('workflow');
const envelope = { payload: 'e30=', payloadType, signatures: [{ keyid: digest, sig: 'AA==' }] } as const;

interface StartOptions {
  at?: number;
  tenant?: string | null;
  key?: string;
  steps?: number;
}

/** `run.started`, as short as it may be. */
export function started({ at = 1_000, tenant = null, key, steps = 1 }: StartOptions = {}): RunEvent {
  return {
    kind: 'run.started',
    at,
    version: journalVersion,
    workflow: {
      workflow: 'compliance',
      steps: Array.from({ length: steps }, (_, index) => ({ id: `s${index}`, type: 'mock_compute' })),
    },
    workflow_digest: digest,
    input: { value: { text: 'ünï – 漢字 \u0000 \ud83d\ude00' } },
    input_digest: sha256('{}'),
    tenant_id: tenant,
    ...(key === undefined ? {} : { idempotency_key: key }),
  };
}

/** An event in the middle of a run; `mark` tells it from others. */
export const middle = (mark: number, padding = ''): RunEvent => ({
  kind: 'run.cancelling',
  at: 2_000 + mark,
  why: `event ${mark}${padding}`,
});

export const completed = (at = 9_000, status: 'completed' | 'failed' | 'cancelled' = 'completed'): RunEvent => ({
  kind: 'run.completed',
  at,
  status,
  run_statement: { ...envelope, signatures: [...envelope.signatures] },
  merkle_root: digest,
  result_root: digest,
});
