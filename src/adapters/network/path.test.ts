import assert from 'node:assert/strict';
import { test } from 'node:test';
import { valueAt } from './path.ts';

test('paths lead to own members only', () => {
  const value = { a: { b: [{ c: 1 }, null], 'd-e': 'x' } };
  assert.equal(valueAt(value, 'a.b[0].c'), 1);
  assert.equal(valueAt(value, 'a.b.0.c'), 1);
  assert.equal(valueAt(value, 'a.d-e'), 'x');
  assert.equal(valueAt(value, ''), value);
  for (const path of ['a.x', 'a.b[5]', 'a.b[1].c', 'constructor', '__proto__', 'a.d-e.length'])
    assert.equal(valueAt(value, path), undefined, path);
});
