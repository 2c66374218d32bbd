import assert from 'node:assert/strict';
import { it } from 'node:test';
import { rateFactor, type Schedule } from './schedule.ts';

const constant: Schedule = { kind: 'constant', every: 10, factor: 0.1, end: 0, warmupEpochs: 0 };
/** Factors of all steps, of 4 an epoch. */
const factors = (schedule: Partial<Schedule>, epochs: number): number[] =>
  Array.from({ length: 4 * epochs }, (_, at) => rateFactor({ ...constant, ...schedule }, at + 1, 4, epochs));
const close = (actual: number[], wanted: number[]): void => {
  assert.equal(actual.length, wanted.length);
  for (const [at, value] of actual.entries()) assert.ok(Math.abs(value - (wanted[at] ?? 0)) < 1e-12, `${at}: ${value}`);
};

it('constant: the rate itself', () => close(factors({}, 2), [1, 1, 1, 1, 1, 1, 1, 1]));

it('step: falls after so many epochs, again and again', () => {
  const each = factors({ kind: 'step', every: 2, factor: 0.5 }, 5).filter((_, at) => at % 4 === 0);
  close(each, [1, 1, 0.5, 0.5, 0.25]);
});

it('cosine: from the rate to its end, by half at half of the time', () => {
  const all = factors({ kind: 'cosine', end: 0.2 }, 100);
  close([all[0] ?? 0, all[200] ?? 0], [1, 0.6]);
  assert.ok(Math.abs((all.at(-1) ?? 0) - 0.2) < 1e-4);
  assert.ok(all.every((value, at) => at === 0 || value < (all[at - 1] ?? 0)));
});

it('the warm-up rises to the rate in equal steps, then it goes on from there', () => {
  close(factors({ warmupEpochs: 1 }, 2), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]);
  close(factors({ warmupEpochs: 0.5 }, 1), [0.5, 1, 1, 1]);
  const all = factors({ kind: 'cosine', warmupEpochs: 2 }, 4);
  close([all[7] ?? 0, all[8] ?? 0, all[12] ?? 0], [1, 1, 0.5]);
  close(factors({ kind: 'cosine', warmupEpochs: 1 }, 1), [0.25, 0.5, 0.75, 1]);
});
