import type { Collection } from 'mongodb';
import { canonicalize } from '../../../lib/canonical.ts';
import { StepError } from '../../../lib/errors.ts';
import { sha256 } from '../../../lib/hash.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { isDuplicate } from './errors.ts';
import type { Session } from './session.ts';

/** In documents that a keyed write changed: the marks of the last effects. */
export const effectField = '_jsonflow';
const effectsCollection = '_jsonflow_effects';
/** Marks that a document keeps. */
const marksMax = 20;

interface EffectRecord {
  _id: string;
  digest: string;
  state: 'begun' | 'done';
  /** JSON: as text, since names may begin with a dollar sign. */
  output?: string;
  /** What an attempt has to know about the one before, such as which document it chose. */
  note?: unknown;
  at: Date;
}

export interface Effect {
  /** What documents are marked with. */
  mark: string;
  /** Whether an earlier attempt may have done a part. */
  resuming: boolean;
  /**
   * An ObjectId, hexadecimal: the same for each attempt, and rising with the index, as indexes of a server like it. 9 bytes of a digest,
   * and 3 that count.
   */
  idOf(index: number): string;
  /** What an earlier attempt has noted. */
  noted: unknown;
  note(value: unknown): Promise<void>;
}

/**
 * Does a write once: notes that it begins, does what is not done yet, notes the output. An attempt after that gets the noted output.
 * @param params what the write depends on @throws StepError EFFECT_CONFLICT
 */
export async function once(
  { db, call: { effectKey }, wait }: Session,
  params: JSONValue,
  body: (effect: Effect | undefined) => Promise<JSONObject>,
): Promise<JSONObject> {
  if (effectKey === undefined) return body(undefined);
  const records: Collection<EffectRecord> = db.collection(effectsCollection);
  const _id = sha256(effectKey);
  const digest = sha256(canonicalize(params));
  const known = await wait(() => begin(records, { _id, digest, state: 'begun', at: new Date() }));
  if (known !== undefined && known.digest !== digest)
    throw new StepError(
      'EFFECT_CONFLICT',
      'this step has written already, with other params: its effect is not repeated',
    );
  if (known?.output !== undefined) return JSON.parse(known.output) as JSONObject;
  const effect: Effect = {
    mark: Buffer.from(_id.slice(0, 24), 'hex').toString('base64url'),
    resuming: known !== undefined,
    idOf: idsOf(effectKey),
    noted: known?.note,
    async note(value) {
      await wait(() => records.updateOne({ _id }, { $set: { note: value } }));
    },
  };
  const output = await body(effect);
  await wait(() => records.updateOne({ _id }, { $set: { state: 'done', output: JSON.stringify(output) } }));
  return output;
}

const idsPerDigest = 2 ** 24;

function idsOf(effectKey: string): (index: number) => string {
  let prefix = '';
  let block = -1;
  return (index) => {
    const wanted = Math.floor(index / idsPerDigest);
    if (wanted !== block) {
      block = wanted;
      prefix = sha256(`${effectKey}/ids/${block}`).slice(0, 18);
    }
    return prefix + (index % idsPerDigest).toString(16).padStart(6, '0');
  };
}

/** The record of an earlier attempt, if there is one. */
async function begin(records: Collection<EffectRecord>, record: EffectRecord): Promise<EffectRecord | undefined> {
  try {
    await records.insertOne(record);
    return undefined;
  } catch (thrown) {
    if (!isDuplicate(thrown)) throw thrown;
    return (await records.findOne({ _id: record._id })) ?? undefined;
  }
}

/** The part of an update that marks a document. */
export const marking = ({ mark }: Effect): Record<string, unknown> => ({
  [effectField]: { $each: [mark], $slice: -marksMax },
});
/** Matches documents that the effect has not reached yet. */
export const unmarked = ({ mark }: Effect): Record<string, unknown> => ({ [effectField]: { $ne: mark } });
