const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Amounts by name, the greatest first. */
const sortedOf = (amounts: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(amounts).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));

/** Exact probabilities as lines, the greatest first, as many as `rowsMax`; what is left is summed up in a last line. */
export function probabilityList(probabilities: Readonly<Record<string, number>>, rowsMax = 32): string {
  const sorted = sortedOf(probabilities);
  const lines = sorted.slice(0, rowsMax).map(([key, value]) => `${key}  ${value.toFixed(6)}`);
  const rest = sorted.slice(rowsMax);
  if (rest.length > 0) {
    const left = rest.reduce((sum, [, value]) => sum + value, 0);
    lines.push(`… ${rest.length} more outcomes, ${left.toFixed(6)} in all`);
  }
  return lines.join('\n');
}

/**
 * Counts as bars, the most frequent first.
 * @param rowsMax outcomes that are shown; what is left is summed up in a last line
 */
export function histogram(counts: Readonly<Record<string, number>>, rowsMax = 32, barMax = 40): string {
  const sorted = sortedOf(counts);
  const total = sorted.reduce((sum, [, count]) => sum + count, 0);
  const most = sorted[0]?.[1] ?? 1;
  const shown = sorted.slice(0, rowsMax);
  const keyWidth = Math.max(...shown.map(([key]) => key.length), 0);
  const countWidth = String(most).length;
  const lines = shown.map(([key, count]) => {
    const share = ((100 * count) / total).toFixed(1).padStart(5);
    return `${key.padEnd(keyWidth)}  ${String(count).padStart(countWidth)}  ${share} %  ${bar((barMax * count) / most)}`;
  });
  const rest = sorted.slice(rowsMax);
  if (rest.length > 0) {
    const left = rest.reduce((sum, [, count]) => sum + count, 0);
    lines.push(`… ${rest.length} more outcomes, ${left} of ${total} shots`);
  }
  return lines.join('\n');
}

const bar = (length: number): string => '█'.repeat(Math.floor(length)) + (eighths[Math.floor((length % 1) * 8)] ?? '');
