import type { VariationalResult } from './optimize.ts';

const [width, height] = [720, 400];
/** Of the plot inside the picture. */
const box = { left: 84, right: 20, top: 44, bottom: 52 };
const pointsMax = 1_000;

/**
 * The energy over iterations as a picture: SVG without scripts or style sheets, of a size that fits a report, in middle tones that are read
 * on white and on dark alike, with the exact energy as a dashed line where it is known.
 */
export function energyPlot(
  result: Pick<VariationalResult, 'algorithm' | 'energy_history' | 'reference_energy' | 'hartree_fock_energy'>,
): string {
  const { energy_history: history, reference_energy: reference } = result;
  const unit = result.hartree_fock_energy === undefined ? '' : ' (hartree)';
  const vertical = axisOf(reference === undefined ? history : [...history, reference], 5);
  const horizontal = axisOf([0, Math.max(1, history.length - 1)], 8, 1);
  const x = (value: number): number => box.left + share(value, horizontal) * (width - box.left - box.right);
  const y = (value: number): number => height - box.bottom - share(value, vertical) * (height - box.top - box.bottom);
  const title = `Energy of ${result.algorithm.toUpperCase()}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}" font-family="system-ui, sans-serif" font-size="12" fill="#808080">`,
    `<title>${title}</title>`,
    text(width / 2, 24, title, 'text-anchor="middle" font-size="16"'),
    ...vertical.ticks.flatMap((value) => [
      line(box.left, y(value), width - box.right, y(value), 'stroke="#808080" stroke-opacity="0.25"'),
      text(box.left - 8, y(value) + 4, label(value, vertical), 'text-anchor="end"'),
    ]),
    ...horizontal.ticks.flatMap((value) => [
      line(x(value), height - box.bottom, x(value), height - box.bottom + 5, 'stroke="#808080"'),
      text(x(value), height - box.bottom + 20, label(value, horizontal), 'text-anchor="middle"'),
    ]),
    line(box.left, height - box.bottom, width - box.right, height - box.bottom, 'stroke="#808080"'),
    line(box.left, box.top, box.left, height - box.bottom, 'stroke="#808080"'),
    text((box.left + width - box.right) / 2, height - 12, 'Iteration', 'text-anchor="middle"'),
    text(
      0,
      0,
      `Energy${unit}`,
      `text-anchor="middle" transform="translate(18 ${(box.top + height - box.bottom) / 2}) rotate(-90)"`,
    ),
    ...(reference === undefined
      ? []
      : [
          line(
            box.left,
            y(reference),
            width - box.right,
            y(reference),
            'stroke="#d9822b" stroke-dasharray="6 4" stroke-width="1.5"',
          ),
          text(width - box.right, y(reference) - 6, 'exact', 'text-anchor="end" fill="#d9822b"'),
        ]),
    curve(history, x, y),
    '</svg>',
  ].join('\n');
}

interface Axis {
  readonly low: number;
  readonly high: number;
  readonly step: number;
  readonly ticks: readonly number[];
}

/** Ticks at round numbers; the axis reaches from one to another. */
function axisOf(values: readonly number[], ticksWanted: number, stepMin = 0): Axis {
  let low = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  let high = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const spare = 1e-9 * Math.max(1, Math.abs(low), Math.abs(high));
  if (high - low < spare) [low, high] = [low - spare, high + spare];
  const rough = (high - low) / ticksWanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(stepMin, ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power);
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  const ticks = Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
  return { low: first * step, high: last * step, step, ticks };
}

const share = (value: number, { low, high }: Axis): number => (value - low) / (high - low);

const label = (value: number, { step }: Axis): string =>
  (value + 0).toFixed(Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)))).replace('-', '−');

/** Of long histories, at most as many points as can be told apart, the last among them. */
function curve(history: readonly number[], x: (value: number) => number, y: (value: number) => number): string {
  const stride = Math.ceil(history.length / pointsMax);
  const shown = history.map((_, at) => at).filter((at) => at % stride === 0 || at === history.length - 1);
  const points = shown.map((at) => `${round(x(at))},${round(y(history[at] ?? 0))}`);
  const dots =
    shown.length > 40
      ? []
      : points.map((point) => `<circle cx="${point.split(',').join('" cy="')}" r="3" fill="#3d85c6"/>`);
  return [
    `<polyline points="${points.join(' ')}" fill="none" stroke="#3d85c6" stroke-width="2" stroke-linejoin="round"/>`,
    ...dots,
  ].join('\n');
}

const round = (value: number): string => String(Math.round(value * 100) / 100);

const line = (x1: number, y1: number, x2: number, y2: number, attributes: string): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" ${attributes}/>`;

/** @param content of letters and digits, nothing that would need escaping */
const text = (x: number, y: number, content: string, attributes: string): string =>
  `<text x="${round(x)}" y="${round(y)}" ${attributes}>${content}</text>`;
