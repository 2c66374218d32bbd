import type { RunEventOf } from '../protocol/events.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { Envelope } from '../protocol/receipt.ts';
import type { ActiveRun } from './active-run.ts';

/** Pieces of refused evidence that a run keeps against one node; what comes after is counted only. */
const keptMax = 20;
/** Characters of an envelope that is kept. */
const envelopeLengthMax = 16 * 1024;

/** What of refused evidence goes into a journal: any node may send it, so it is bounded in number and size. */
export class Refused {
  readonly #kept = new WeakMap<ActiveRun, Map<string, number>>();

  /** The event that keeps it; undefined where the run takes no more of this node, or takes nothing any more. */
  event(
    run: ActiveRun,
    node: string,
    { step_id: step, attempt, envelope }: MessageOf<'result'>,
    why: string,
    at: number,
  ): RunEventOf<'evidence.refused'> | undefined {
    if (run.concluding || run.state.ended !== undefined) return undefined;
    const kept = this.#kept.get(run) ?? new Map<string, number>();
    this.#kept.set(run, kept);
    const before = kept.get(node) ?? 0;
    if (before >= keptMax) return undefined;
    kept.set(node, before + 1);
    const event: RunEventOf<'evidence.refused'> = { kind: 'evidence.refused', at, step, attempt, node, why };
    const small = smallEnvelope(envelope);
    if (small !== undefined) event.envelope = small;
    return event;
  }
}

/** A copy of the fields that an envelope has, and of nothing that came beside them. */
function smallEnvelope({ payload, payloadType, signatures }: Envelope): Envelope | undefined {
  const copy = signatures.map(({ keyid, sig }) => ({ keyid, sig }));
  const length = copy.reduce((sum, { keyid, sig }) => sum + keyid.length + sig.length, payload.length);
  return length <= envelopeLengthMax ? { payload, payloadType, signatures: copy } : undefined;
}
