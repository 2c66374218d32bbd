import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addQuery, httpSchemes, portOf, readUrl } from './url.ts';

test('a URL is taken as it is written, or not at all', () => {
  fc.assert(
    fc.property(fc.webUrl({ validSchemes: ['http', 'https'], withQueryParameters: true }), (text) => {
      const parsed = readUrl(text, httpSchemes);
      assert.ok('url' in parsed);
      assert.equal(parsed.url.href, new URL(text).href);
    }),
  );
});

test('what the parser would mend is refused, wherever it stands', () => {
  const mended = ['\t', '\n', '\r', '\0', ' ', '\\', '\x7f'];
  fc.assert(
    fc.property(fc.webUrl(), fc.nat(), fc.constantFrom(...mended), (url, at, character) => {
      const place = at % (url.length + 1);
      assert.ok('problem' in readUrl(url.slice(0, place) + character + url.slice(place), httpSchemes));
    }),
  );
});

test('credentials, other schemes and relative URLs are refused; no problem quotes the URL', () => {
  for (const text of [
    ...[
      'http://hunter2@a.example/',
      'http://:hunter2@a.example/',
      'http://a:hunter2@a.example/',
      'ftp://hunter2/',
      'file:///hunter2',
    ],
    ...['/hunter2', 'hunter2', 'hunter2:', 'http://', 'http://[hunter2/', 'http://a.example:hunter2/', 'data:,hunter2'],
  ]) {
    const parsed = readUrl(text, httpSchemes);
    assert.ok('problem' in parsed, text);
    assert.doesNotMatch(parsed.problem, /hunter2/);
  }
});

test('parameters come after what stands there, which stays as it is', () => {
  const url = new URL('https://a.example/x?sig=%2F+~');
  addQuery(url, { a: 'b c', list: [1, true], no: null });
  assert.equal(url.search, '?sig=%2F+~&a=b+c&list=1&list=true');
  const bare = new URL('https://a.example/x');
  addQuery(bare, { no: null });
  assert.equal(bare.href, 'https://a.example/x');
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme' }), fc.string({ unit: 'grapheme' })),
      (query) => {
        const target = new URL('https://a.example/');
        addQuery(target, query);
        assert.deepEqual(Object.fromEntries(target.searchParams), { ...query });
      },
    ),
  );
});

test('ports are those of the scheme where none is given', () => {
  const ports = ['http://a', 'ws://a', 'https://a', 'wss://a', 'https://a:8443'].map((text) => portOf(new URL(text)));
  assert.deepEqual(ports, [80, 80, 443, 443, 8443]);
});
