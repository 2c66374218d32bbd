import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decoderOf, essenceOf, kindOf } from './content-type.ts';

test('types are told apart', () => {
  const kinds: Record<string, string[]> = {
    json: ['application/json', 'text/json', 'application/problem+json', 'application/vnd.a.b+json'],
    ndjson: ['application/x-ndjson', 'application/ndjson', 'application/jsonl', 'application/x-jsonlines'],
    text: ['text/plain', 'text/csv', 'application/xml', 'image/svg+xml', 'application/yaml'],
    bytes: ['image/png', 'application/octet-stream', 'application/pdf', 'application/jsonp', 'x'],
    unknown: [''],
  };
  for (const [kind, types] of Object.entries(kinds)) for (const type of types) assert.equal(kindOf(type), kind, type);
  assert.equal(essenceOf(' Text/HTML ; charset=x'), 'text/html');
  assert.equal(essenceOf(undefined), '');
});

test('charsets are those that the Web knows, else UTF-8', () => {
  const name = (header: string | undefined): string => decoderOf(header).encoding;
  assert.equal(name('text/plain; charset=ISO-8859-1'), 'windows-1252');
  assert.equal(name('text/plain;x=1;charset="utf-16le"'), 'utf-16le');
  for (const header of ['text/plain; charset=nonsense', 'text/plain', undefined, 'text/plain; charset='])
    assert.equal(name(header), 'utf-8');
});
