import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linkTo } from './link-header.ts';

test('the link with the relation is found among others', () => {
  const header =
    '</a>; rel="prev", <https://x.example/?a=1,2&b=">; title="a, <b>; rel=next"; rel="last next", </c>; rel=next';
  assert.equal(linkTo(header, 'next'), 'https://x.example/?a=1,2&b="');
  assert.equal(linkTo(header, 'prev'), '/a');
  assert.equal(linkTo(header, 'NEXT'), 'https://x.example/?a=1,2&b="');
  assert.equal(linkTo(header, 'first'), undefined);
  assert.equal(linkTo(undefined, 'next'), undefined);
  assert.equal(linkTo('</a>; REL=Next', 'next'), '/a');
});

test('any header ends', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('<', '>', '"', ',', ';', 'rel=', 'next', ' ', '\\', 'a')), (parts) => {
      linkTo(parts.join(''), 'next');
    }),
  );
});

test('a link that is written is read', () => {
  const target = fc.webUrl().filter((url) => !/[<>]/.test(url));
  fc.assert(
    fc.property(fc.array(target, { maxLength: 3 }), target, (others, next) => {
      const links = [...others.map((url) => `<${url}>; rel="other"`), `<${next}>; title="x, y"; rel="next"`];
      assert.equal(linkTo(links.join(', '), 'next'), next);
    }),
  );
});
