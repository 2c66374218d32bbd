import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTemplate } from './template.ts';

test('quoted keys may hold anything that JSON can quote', () => {
  for (const key of ['', 'a b', '"', '\\', '\\"]', ']', '"]', '}', '\u{1f600}', 'x'.repeat(5_000_000)]) {
    const text = `$a[${JSON.stringify(key)}].b`;
    assert.deepEqual(parseTemplate(text), { kind: 'reference', target: { text, stepId: 'a', path: [key, 'b'] } });
  }
});

test('an open or wrongly quoted key is literal text, however long', () => {
  const long = 'x'.repeat(20_000_000);
  for (const text of ['$a["', '$a["k', '$a["k"', '$a["k\\', '$a["k\\"]', '$a["\\q"]', '$a["\n"]', `$a["${long}`])
    assert.equal(parseTemplate(text), undefined);
});

test('an open key inside a string is malformed', () => {
  assert.deepEqual(parseTemplate('${a["k}'), { kind: 'text', parts: [''], malformed: ['${a["k}'] });
});
