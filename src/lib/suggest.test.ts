import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closest } from './suggest.ts';

test('finds what a typing mistake stands for', () => {
  const candidates = ['transform_map', 'transform_filter', 'mock_compute', 'id'];
  for (const [word, meant] of [
    ['transfrom_map', 'transform_map'],
    ['transform_fitler', 'transform_filter'],
    ['mock_compte', 'mock_compute'],
    ['MOCK_COMPUTE', 'mock_compute'],
    ['idd', 'id'],
    ['di', 'id'],
  ] as const) {
    assert.equal(closest(word, candidates), meant, word);
  }
});

test('finds nothing where nothing is near, and never the word itself', () => {
  assert.equal(closest('wasm_execute', ['mock_compute', 'transform_map']), undefined);
  assert.equal(closest('ab', ['xy', 'abcd']), undefined);
  assert.equal(closest('', ['a']), undefined);
  assert.equal(closest('same', ['same']), undefined);
  assert.equal(closest('x'.repeat(65), ['x'.repeat(64)]), undefined);
});

test('prefers the closest, and of equals the first', () => {
  assert.equal(closest('stepp', ['stop', 'step', 'steps']), 'step');
  assert.equal(closest('rows1', ['rows2', 'rows3']), 'rows2');
});

test('one edit of a long enough word is always found', () => {
  const word = fc.stringMatching(/^[a-z]{6,20}$/);
  fc.assert(
    fc.property(word, fc.nat(), fc.constantFrom('drop', 'double', 'swap', 'replace'), (original, at, edit) => {
      const place = at % (original.length - 1);
      const [a = '', b = ''] = original.slice(place, place + 2);
      const middle = { drop: b, double: `${a}${a}${b}`, swap: `${b}${a}`, replace: `#${b}` }[edit];
      const edited = original.slice(0, place) + middle + original.slice(place + 2);
      assert.equal(closest(edited, [original]), edited === original ? undefined : original);
    }),
    { seed: 7, numRuns: 500 },
  );
});
