/** Words longer than this are not compared: they are no typing mistakes. */
const wordLengthMax = 64;
/** More candidates than this are not looked at, so that the cost of a suggestion stays bounded. */
const candidatesMax = 5_000;

/**
 * The candidate that a mistyped word most likely stands for: the one at the least Damerau–Levenshtein distance (optimal string
 * alignment), at most a third of the word's length and at most 2 (1 for short words). Case counts for little. Of equals the first wins.
 */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > wordLengthMax) return undefined;
  const wanted = word.toLowerCase();
  let distanceMax = Math.min(2, Math.max(1, Math.floor(word.length / 3)));
  let best: string | undefined;
  let looked = 0;
  for (const candidate of candidates) {
    if (++looked > candidatesMax) break;
    if (Math.abs(candidate.length - word.length) > distanceMax || candidate === word) continue;
    const found = distance(wanted, candidate.toLowerCase(), distanceMax);
    if (found > distanceMax) continue;
    best = candidate;
    if (found === 0) break;
    // Only a strictly closer candidate replaces this one.
    distanceMax = found - 1;
  }
  return best;
}

/** Edits between two short words: insert, delete, replace, swap neighbours. Anything above `max` may come out as `max + 1`. */
function distance(a: string, b: string, max: number): number {
  if (a === b) return 0;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    let least = row;
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
      least = Math.min(least, cost);
    }
    if (least > max) return max + 1;
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? max + 1;
}
