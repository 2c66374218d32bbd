const denominators = [1, 2, 3, 4, 6, 8, 12, 16, 32, 64];

/** An angle for people: as a fraction of π where it is one, else with five digits. */
export function angleText(angle: number): string {
  if (angle === 0) return '0';
  for (const below of denominators) {
    const above = (angle / Math.PI) * below;
    const whole = Math.round(above);
    if (whole === 0 || Math.abs(above - whole) > 1e-9 || Math.abs(whole) > 64) continue;
    const factor = whole === 1 ? '' : whole === -1 ? '-' : `${whole}`;
    return `${factor}π${below === 1 ? '' : `/${below}`}`;
  }
  return `${Number(angle.toPrecision(5))}`;
}
