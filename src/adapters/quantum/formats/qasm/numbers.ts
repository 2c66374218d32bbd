const denominators = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024, 2048, 4096];
const numeratorMax = 64;

/** An angle as a program states it: as a fraction of pi where that is the very same number, else with all of its digits. */
export function angleText(angle: number): string {
  if (angle === 0) return '0';
  for (const denominator of denominators) {
    const numerator = Math.round((Math.abs(angle) / Math.PI) * denominator);
    if (numerator === 0 || numerator > numeratorMax) continue;
    if ((numerator * Math.PI) / denominator !== Math.abs(angle)) continue;
    const times = numerator === 1 ? 'pi' : `${numerator}*pi`;
    return `${angle < 0 ? '-' : ''}${times}${denominator === 1 ? '' : `/${denominator}`}`;
  }
  return String(angle);
}
