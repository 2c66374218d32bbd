import assert from 'node:assert/strict';
import { it } from 'node:test';
import { curves } from './curves.ts';
import type { EpochMetrics } from './job.ts';

const shown = (epochs: Partial<EpochMetrics>[]): string =>
  curves(
    epochs.map((metrics, at) => ({ epoch: at + 1, loss: 1, metric: 1, ...metrics })),
    'accuracy',
  );
/** Texts of both axes of values, from below. */
const axes = (svg: string): string[] =>
  [...svg.matchAll(/dy="4" text-anchor="end">([^<]+)</g)].map(([, text = '']) => text);

it('one epoch is shown by points', () => {
  assert.equal([...shown([{ val_loss: 2, val_metric: 0.5 }]).matchAll(/<circle /g)].length, 4);
  assert.equal([...shown([{}]).matchAll(/<circle /g)].length, 2);
  assert.doesNotMatch(shown([{}]), /polyline/);
});

it('more are shown by lines, of the validation where there is one', () => {
  assert.equal([...shown([{}, {}]).matchAll(/<polyline [^>]*points="[\d., ]+"/g)].length, 2);
  const both = shown([{}, {}].map(() => ({ val_loss: 2, val_metric: 0.5 })));
  assert.equal([...both.matchAll(/<polyline /g)].length, 4);
});

it('the axis of an accuracy ends with 1, where it always is 1, too', () => {
  assert.deepEqual(axes(shown([{}, {}])).slice(3), ['0', '0.5', '1']);
  assert.deepEqual(axes(shown([{ metric: 0.5 }, {}])).slice(3), ['0.5', '0.75', '1']);
});

it('numbers fit beside the axis, however large or small', () => {
  for (const loss of [0, 1e-30, 4.2e-5, 0.0123, 999_999, 1.1e33])
    for (const text of axes(shown([{ loss }, { loss: loss / 2 }]))) assert.ok(text.length <= 7, text);
});

it('many epochs make no large picture', () => {
  assert.ok(shown(Array.from({ length: 10_000 }, () => ({}))).length < 20_000);
});
