import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { probabilitiesOf } from '../../../../../test/support/quantum-vectors.ts';
import { parseQir } from './qir.ts';

/** Programs, what the Q# compiler makes of them, and what its own simulator returned: test/vectors/quantum/make-qsharp.ts. */
const entries = JSON.parse(
  readFileSync(new URL('../../../../../test/vectors/quantum/qsharp.json', import.meta.url), 'utf8'),
) as { name: string; qir: string; counts: Record<string, number> }[];

for (const { name, qir, counts } of entries)
  test(`QIR of ${name} gives what Q#'s simulator gives`, () => {
    const returned = new Map<string, number>();
    for (const [text, probability] of probabilitiesOf(parseQir(qir))) {
      const own = text.split(' ').at(-1) ?? '';
      returned.set(own, (returned.get(own) ?? 0) + probability);
    }
    const shots = Object.values(counts).reduce((sum, count) => sum + count, 0);
    for (const text of new Set([...returned.keys(), ...Object.keys(counts)])) {
      const p = returned.get(text) ?? 0;
      const off = Math.abs((counts[text] ?? 0) - p * shots);
      assert.ok(off <= 5 * Math.sqrt(p * (1 - p) * shots) + 1e-6, `${text}: ${counts[text]} of ${shots}, not ${p}`);
    }
  });

const program = (body: string, qubits = 1, results = 1): string =>
  `define i64 @ENTRYPOINT__main() #0 {\nblock_0:\n${body}\n  ret i64 0\n}\n` +
  `attributes #0 = { "required_num_qubits"="${qubits}" "required_num_results"="${results}" }\n`;
const measure =
  '  call void @__quantum__qis__m__body(%Qubit* inttoptr (i64 0 to %Qubit*), %Result* inttoptr (i64 0 to %Result*))';
const read = '  %a = call i1 @__quantum__rt__read_result(%Result* inttoptr (i64 0 to %Result*))';

test('what a circuit can not say is refused by its name', () => {
  const refused: [RegExp, string][] = [
    [/measured twice/, `${measure}\n${measure}`],
    [/loop/, `${measure}\n${read}\n  br i1 %a, label %block_0, label %block_1\nblock_1:`],
    [
      /follows from measurements/,
      '  call void @__quantum__qis__rx__body(double %angle, %Qubit* inttoptr (i64 0 to %Qubit*))',
    ],
    [/foo__body/, '  call void @__quantum__qis__foo__body(%Qubit* inttoptr (i64 0 to %Qubit*))'],
    [/not known before it runs/, '  call void @__quantum__qis__h__body(%Qubit* %q)'],
    [/"udiv"/, `${measure}\n${read}\n  %b = udiv i64 %a, 3`],
  ];
  for (const [message, body] of refused) assert.throws(() => parseQir(program(body)), { name: 'StepError', message });
  assert.throws(() => parseQir(program('', 0)), /no qubits/);
  assert.throws(() => parseQir(program('', 5000)), { code: 'CIRCUIT_TOO_LARGE' });
});

test('blocks that nothing leads to, and numbers with many values, cost nothing and are bounded', () => {
  const jump =
    '  br i1 false, label %block_1, label %block_2\nblock_1:\n  call void @__quantum__qis__x__body(%Qubit* null)\nblock_2:';
  assert.deepEqual(parseQir(program(jump)).operations, []);
  const bits = 16;
  const sums = Array.from({ length: bits }, (_, at) =>
    [
      `  call void @__quantum__qis__m__body(%Qubit* null, %Result* inttoptr (i64 ${at} to %Result*))`,
      `  %r${at} = call i1 @__quantum__rt__read_result(%Result* inttoptr (i64 ${at} to %Result*))`,
      `  %z${at} = zext i1 %r${at} to i64`,
      `  %s${at} = shl i64 %z${at}, ${at}`,
      `  %t${at} = ${at === 0 ? 'add i64 0' : `add i64 %t${at - 1}`}, %s${at}`,
    ].join('\n'),
  );
  assert.throws(() => parseQir(program(sums.join('\n'), 1, bits)), { code: 'CIRCUIT_TOO_LARGE', message: /values/ });
});
