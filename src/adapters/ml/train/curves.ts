// Learning curves as SVG: loss on the left, the metric on the right.
import type { EpochMetrics } from './job.ts';

const [width, height, left, top] = [320, 220, 48, 28];
const [plotWidth, plotHeight] = [width - left - 16, height - top - 36];
const pointsMax = 500;
const colours = ['#1f6feb', '#d9730d'] as const;

/** @param metric name of the metric beside the loss */
export function curves(history: readonly EpochMetrics[], metric: 'accuracy' | 'mae'): string {
  const every = Math.max(1, Math.ceil(history.length / pointsMax));
  const shown = history.filter((_, index) => index % every === 0 || index === history.length - 1);
  const panels = [
    panel('loss', shown, [({ loss }) => loss, ({ val_loss }) => val_loss]),
    panel(metric, shown, [(metrics) => metrics.metric, ({ val_metric }) => val_metric]),
  ];
  const placed = panels.map((content, index) => `<g transform="translate(${index * width},0)">${content}</g>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * width} ${height}" font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>${placed.join('')}</svg>`;
}

/** Three digits, in the room that is left of the axis. */
const short = (value: number): string =>
  (value !== 0 && value < 0.001) || value >= 1e6
    ? value.toExponential(1).replace('e+', 'e')
    : `${Number(value.toPrecision(3))}`;

type Get = (metrics: EpochMetrics) => number | undefined;

function panel(title: string, history: readonly EpochMetrics[], gets: readonly [Get, Get]): string {
  const series = gets.map((get) =>
    history.flatMap((metrics) => {
      const value = get(metrics);
      return value === undefined ? [] : [{ epoch: metrics.epoch, value }];
    }),
  );
  const values = series.flat().map(({ value }) => value);
  const least = Math.min(...values);
  const [low, high] = title === 'accuracy' ? [least < 1 ? least : 0, 1] : [0, Math.max(...values)];
  const span = high - low || 1;
  const last = Math.max(2, history.at(-1)?.epoch ?? 2);
  const x = (epoch: number): string => (left + (plotWidth * (epoch - 1)) / (last - 1)).toFixed(1);
  const y = (value: number): string => (top + plotHeight * (1 - (value - low) / span)).toFixed(1);
  const ticks = [low, low + span / 2, low + span].map(
    (value) =>
      `<path d="M${left} ${y(value)}h${plotWidth}" stroke="#ddd"/><text x="${left - 4}" y="${y(value)}" dy="4" text-anchor="end">${short(value)}</text>`,
  );
  const lines = series.map((points, index) => {
    const [first, ...others] = points.map(({ epoch, value }) => [x(epoch), y(value)] as const);
    if (first === undefined) return '';
    // A line of one point shows nothing.
    return others.length === 0
      ? `<circle cx="${first[0]}" cy="${first[1]}" r="2.5" fill="${colours[index]}"/>`
      : `<polyline fill="none" stroke="${colours[index]}" stroke-width="1.5" points="${[first, ...others].map((point) => point.join(',')).join(' ')}"/>`;
  });
  const names = series.flatMap((points, index) =>
    points.length === 0
      ? []
      : [
          `<text x="${left + plotWidth}" y="${top - 10}" dx="${index * -70}" text-anchor="end" fill="${colours[index]}">${index === 0 ? 'training' : 'validation'}</text>`,
        ],
  );
  const epochs = `<text x="${left}" y="${height - 18}">1</text><text x="${left + plotWidth}" y="${height - 18}" text-anchor="end">${last}</text><text x="${left + plotWidth / 2}" y="${height - 6}" text-anchor="middle">epoch</text>`;
  return `<text x="${left}" y="${top - 10}" font-weight="bold">${title}</text>${ticks.join('')}${lines.join('')}${names.join('')}${epochs}`;
}
