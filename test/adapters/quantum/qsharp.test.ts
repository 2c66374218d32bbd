// Programs in Q#, compiled by its own compiler. Each takes it a second or so; what it makes of more of them is in qir.test.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileQsharp } from '../../../src/adapters/quantum/formats/qsharp/compile.ts';
import { parseQir } from '../../../src/adapters/quantum/formats/qsharp/qir.ts';

const entries = JSON.parse(readFileSync(new URL('../../vectors/quantum/qsharp.json', import.meta.url), 'utf8')) as {
  name: string;
  source: string;
  operation?: string;
  qir: string;
}[];
const isLong = process.env.JSONFLOW_LONG === '1';

for (const { name, source, operation, qir } of entries)
  test(`Q#: ${name}`, { skip: !isLong && name !== 'ghz' }, async () => {
    const circuit = await compileQsharp(source, operation === undefined ? {} : { operation });
    assert.deepEqual(circuit, parseQir(qir));
  });

test('Q#: errors of the compiler say where and what', async () => {
  const program = 'operation Main() : Result {\n  use q = Qubit();\n  HH(q);\n  M(q)\n}';
  await assert.rejects(compileQsharp(program), {
    code: 'QSHARP_SYNTAX',
    message: /^Q# 3:3: name error: `HH` not found/,
  });
  await assert.rejects(compileQsharp(program, { operation: 'Nothing' }), {
    code: 'INVALID_PARAMS',
    message: /no operation Nothing/,
  });
});

test('Q#: a loop that a measurement ends is refused by the compiler', { skip: !isLong }, async () => {
  const forever =
    'operation Main() : Result { use q = Qubit(); mutable r = Zero; repeat { H(q); set r = M(q); } until r == One; r }';
  await assert.rejects(compileQsharp(forever), { code: 'QSHARP_SYNTAX', message: /dynamic/ });
});

test('Q#: a compilation can be stopped, and has a bound', async () => {
  const { source = '' } = entries[0] ?? {};
  await assert.rejects(compileQsharp(source, { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
  const stop = new AbortController();
  const compiling = compileQsharp(source, { signal: stop.signal });
  stop.abort(new Error('now'));
  await assert.rejects(compiling, /now/);
  await assert.rejects(compileQsharp(source, { timeoutMs: 1 }), { code: 'STEP_TIMEOUT' });
});
