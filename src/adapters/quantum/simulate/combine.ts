import type { Register } from '../circuit/circuit.ts';
import type { Plan } from './plan.ts';
import type { Random } from './random.ts';
import type { PartResult } from './run-part.ts';

type Amounts = ReadonlyMap<string, number>;

/** Texts of all bits, bit 0 rightmost: how often each came, and how probable it is where all parts tell. */
export function combineAmounts(
  { program, parts }: Plan,
  results: readonly PartResult[],
  shots: number,
  random: Random,
): { counts: Amounts; probabilities: Amounts | undefined } {
  const measured = parts
    .map(({ bits }, at) => ({ bits, result: results[at] }))
    .filter(({ bits, result }) => bits.length > 0 && result !== undefined);
  const bits = measured.map((one) => one.bits);
  const place = placer(program.bits, bits);
  const counts = drawTogether(
    measured.map(({ result }) => result?.counts ?? new Map()),
    shots,
    random,
    place,
  );
  const known = measured.flatMap(({ result }) => result?.probabilities ?? []);
  return { counts, probabilities: known.length === measured.length ? multiplied(known, place) : undefined };
}

/** Puts texts of the parts' bits where they belong; bits that none has are 0. */
function placer(total: number, partBits: readonly (readonly number[])[]): (texts: readonly string[]) => string {
  if (partBits.length === 1 && partBits[0]?.length === total) return ([text = '']) => text;
  return (texts) => {
    const all = new Array<string>(total).fill('0');
    for (const [at, bits] of partBits.entries()) {
      const text = texts[at] ?? '';
      for (const [local, bit] of bits.entries()) all[total - 1 - bit] = text[text.length - 1 - local] ?? '0';
    }
    return all.join('');
  };
}

/**
 * Each part has its shots in no order, so they are brought into a random one: what the parts give in one shot is then as independent as the
 * parts are.
 */
function drawTogether(
  parts: readonly Amounts[],
  shots: number,
  random: Random,
  place: (texts: readonly string[]) => string,
): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (texts: readonly string[], amount: number): void => {
    const key = place(texts);
    counts.set(key, (counts.get(key) ?? 0) + amount);
  };
  if (shots === 0) return counts;
  const varied = parts.filter(({ size }) => size > 1);
  if (varied.length <= 1) {
    const fixed = parts.map((part) => [...part.keys()][0] ?? '');
    for (const [key, amount] of varied[0] ?? [['', shots] as const])
      add(
        parts.map((part, at) => (part === varied[0] ? key : (fixed[at] ?? ''))),
        amount,
      );
    return counts;
  }
  // Shot by shot, which of the different texts so far it has; part after part, so that no more than two lists of shots exist.
  let joint: Joint = { shots: new Int32Array(shots), texts: [[]] };
  for (const part of parts) joint = joined(joint, shuffled(part, shots, random), [...part.keys()]);
  const amounts = new Float64Array(joint.texts.length);
  for (const at of joint.shots) amounts[at] = (amounts[at] ?? 0) + 1;
  for (const [at, texts] of joint.texts.entries()) add(texts, amounts[at] ?? 0);
  return counts;
}

interface Joint {
  readonly shots: Int32Array;
  readonly texts: (readonly string[])[];
}

function joined({ shots, texts }: Joint, part: Int32Array, partTexts: readonly string[]): Joint {
  const known = new Map<number, number>();
  const pairs: (readonly string[])[] = [];
  const both = shots.map((first, shot) => {
    const second = part[shot] ?? 0;
    const pair = first * partTexts.length + second;
    const found = known.get(pair);
    if (found !== undefined) return found;
    known.set(pair, pairs.length);
    return pairs.push([...(texts[first] ?? []), partTexts[second] ?? '']) - 1;
  });
  return { shots: both, texts: pairs };
}

/** Which of its texts each shot has, by Fisher and Yates. */
function shuffled(part: Amounts, shots: number, random: Random): Int32Array {
  const all = new Int32Array(shots);
  let end = 0;
  for (const [at, amount] of [...part.values()].entries()) {
    all.fill(at, end, end + amount);
    end += amount;
  }
  if (part.size === 1) return all;
  for (let at = shots - 1; at > 0; at -= 1) {
    const other = Math.floor(random.next() * (at + 1));
    const swapped = all[at] ?? 0;
    all[at] = all[other] ?? 0;
    all[other] = swapped;
  }
  return all;
}

function multiplied(parts: readonly Amounts[], place: (texts: readonly string[]) => string): Map<string, number> {
  let products: { texts: string[]; p: number }[] = [{ texts: [], p: 1 }];
  for (const part of parts)
    products = products.flatMap(({ texts, p }) =>
      [...part].map(([text, q]) => ({ texts: [...texts, text], p: p * q })),
    );
  return new Map(products.map(({ texts, p }) => [place(texts), p]));
}

/** Counts by text, registers apart, in the order of the texts. */
export function textOf(registers: readonly Register[]): (amounts: Amounts) => Record<string, number> {
  // Ends of the registers from the right.
  const ends: number[] = [];
  let bits = 0;
  for (const { size } of registers) {
    bits += size;
    ends.push(bits);
  }
  const isOne = registers.filter(({ size }) => size > 0).length === 1;
  const apart = (key: string): string =>
    isOne
      ? key
      : registers
          .map(({ size }, at) => key.slice(key.length - (ends[at] ?? 0), key.length - (ends[at] ?? 0) + size))
          .filter((text) => text.length > 0)
          .reverse()
          .join(' ');
  return (amounts) =>
    Object.fromEntries([...amounts].map(([key, amount]) => [apart(key), amount] as const).sort(byText));
}

const byText = ([a]: readonly [string, number], [b]: readonly [string, number]): number => (a < b ? -1 : a > b ? 1 : 0);
