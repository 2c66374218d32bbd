import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'graphql';
import { StepError } from '../../../lib/errors.ts';
import { operationKind } from './operation.ts';

const documents: [string, string | undefined, string][] = [
  ['{ a }', undefined, 'query'],
  ['query { a }', undefined, 'query'],
  [
    'query Q($a: [Int!]! = [1, 2], $b: In = { mutation: "}" }) @d(x: { y: "{" }) { a(b: $b) { c } }',
    undefined,
    'query',
  ],
  ['mutation M { a }', 'M', 'mutation'],
  ['# query Q { a }\nsubscription S { a }', undefined, 'subscription'],
  ['fragment query on Mutation { mutation } mutation M { ...query }', undefined, 'mutation'],
  ['fragment mutation on T @x(y: "mutation {") { a } query Q { ...mutation }', undefined, 'query'],
  ['query A { a } mutation B { b }', 'B', 'mutation'],
  ['query A { a(x: """ mutation B { \\""" } """) } mutation C { b }', 'A', 'query'],
  ['{ a(x: "\\"} mutation M {") }', undefined, 'query'],
  ['\ufeff,query,Q,{ a }', 'Q', 'query'],
];
for (const [document, name, kind] of documents)
  test(`${kind} in ${document.slice(0, 60)}`, () => {
    assert.ok(parse(document).definitions.length > 0);
    assert.equal(operationKind(document, name), kind);
  });

const refused: [string, string | undefined, RegExp][] = [
  ['fragment F on T { a }', undefined, /no operation/],
  ['', undefined, /no operation/],
  ['query A { a } query B { b }', undefined, /several operations/],
  ['query A { a }', 'B', /none of the operations/],
];
for (const [document, name, pattern] of refused)
  test(`refuses ${JSON.stringify(document)}`, () => {
    assert.throws(
      () => operationKind(document, name),
      (thrown) => thrown instanceof StepError && thrown.code === 'INVALID_PARAMS' && pattern.test(thrown.message),
    );
  });

test('the same as the parser of GraphQL, whatever stands inside', () => {
  const text = fc.string().map((one) => JSON.stringify(one).replaceAll(/\\u\{?[0-9a-f]*\}?/gi, 'u'));
  const block = fc.string().map((one) => `"""${one.replaceAll('"', '').replaceAll('\\', '')}"""`);
  const value = fc.oneof(text, block, fc.constantFrom('{ a: { b: [1] } }', '$v', 'mutation', '[{}]'));
  const selection = value.map((one) => `{ query(mutation: ${one}) { subscription } }`);
  const definition = fc.tuple(fc.constantFrom('query', 'mutation', 'subscription'), selection);
  fc.assert(
    fc.property(fc.array(definition, { minLength: 1, maxLength: 4 }), fc.nat(3), (definitions, at) => {
      const document = definitions.map(([kind, body], index) => `${kind} O${index} ${body}`).join(' # {\n');
      let parsed: unknown;
      try {
        parsed = parse(document);
      } catch {
        fc.pre(false);
      }
      assert.ok(parsed !== undefined);
      const index = at % definitions.length;
      assert.equal(operationKind(document, `O${index}`), definitions[index]?.[0]);
    }),
  );
});
