import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertSameAction } from '../../../../../test/support/quantum-vectors.ts';
import { StepError } from '../../../../lib/errors.ts';
import { type Circuit, gateOn, type Operation } from '../../circuit/circuit.ts';
import { gateNamed } from '../../circuit/gates.ts';
import { parseQasm } from './parse.ts';

const two = (body: string): Circuit => parseQasm(`OPENQASM 2.0; include "qelib1.inc"; ${body}`);
const three = (body: string, parameters: Record<string, number> = {}): Circuit =>
  parseQasm(`OPENQASM 3.0; include "stdgates.inc"; ${body}`, { parameters });
const names = ({ operations }: Circuit): string[] =>
  operations.map((operation) => (operation.kind === 'gate' ? operation.gate.name : operation.kind));
const angles = ({ operations }: Circuit): (readonly number[])[] =>
  operations.flatMap((operation) => (operation.kind === 'gate' ? [operation.gate.params] : []));

test('gates become those of the circuit with controls, and registers are broadcast over', () => {
  assert.deepEqual(two('qreg q[2]; qreg r[2]; creg c[2]; cx q[0], r; barrier q; measure r -> c;').operations, [
    gateOn(gateNamed('x'), [2], [{ qubit: 0, value: 1 }]),
    gateOn(gateNamed('x'), [3], [{ qubit: 0, value: 1 }]),
    { kind: 'barrier', qubits: [0, 1] },
    { kind: 'measure', qubit: 2, bit: 0 },
    { kind: 'measure', qubit: 3, bit: 1 },
  ]);
});

test('constant expressions: precedence, functions, and division, which versions see differently', () => {
  assert.deepEqual(
    angles(two('qreg q[1]; rx(-2^2) q[0]; rx(1/2) q[0]; rx(2^3^0 + sin(pi/2)*4) q[0]; rx(-pi/-2) q[0];')),
    [[-4], [0.5], [6], [Math.PI / 2]],
  );
  const program = `qubit q; const int[8] n = 5; int[8] m = 127; m += 1; float f = n / 2; bit[4] b = "0110"; array[float[64], 2] a = {0.1, 0.2};
    rx(n / 2) q; rx(n / 2.0) q; rx(m) q; rx(f ** 2) q; rx(2 * τ / tau) q; rx(a[-1]) q; rx(n & 4 | 1) q; rx(int(euler)) q; rx(popcount("0110")) q;`;
  // Bits can be declared with a value only where that is 0.
  assert.throws(() => three(program), { code: 'QUANTUM_UNSUPPORTED', message: /measurements/ });
  assert.deepEqual(angles(three(program.replace('"0110";', '"0000";'))), [
    [2],
    [2.5],
    [-128],
    [4],
    [2],
    [0.2],
    [5],
    [2],
    [2],
  ]);
});

test('phases of a gate matter where it gets a control: those of U, u3 and gphase', () => {
  const exact: [string, Operation[]][] = [
    ['ctrl @ gphase(0.4) q[0];', [gateOn(gateNamed('p', 0.4), [0])]],
    [
      'gate g a { gphase(0.3); x a; } ctrl @ g q[0], q[1];',
      [gateOn(gateNamed('p', 0.3), [0]), gateOn(gateNamed('x'), [1], [{ qubit: 0, value: 1 }])],
    ],
    [
      'ctrl @ U(0.5, 0, 0) q[0], q[1];',
      [gateOn(gateNamed('p', 0.25), [0]), gateOn(gateNamed('ry', 0.5), [1], [{ qubit: 0, value: 1 }])],
    ],
    [
      'negctrl @ U(pi, 0, pi) q[0], q[1]; negctrl @ gphase(-pi/2) q[0];',
      [gateOn(gateNamed('x'), [1], [{ qubit: 0, value: 0 }])],
    ],
    ['ctrl @ u3(0, 0.6, 0.2) q[0], q[1];', [gateOn(gateNamed('rz', 0.8), [1], [{ qubit: 0, value: 1 }])]],
    ['inv @ pow(0.5) @ z q[0];', [gateOn(gateNamed('sdg'), [0])]],
    ['gate g a { h a; x a; h a; } pow(0.5) @ g q[0];', [gateOn(gateNamed('s'), [0])]],
    [
      'gate g a { h a; t a; } pow(-2) @ g q[1];',
      [0, 1].flatMap(() => [gateOn(gateNamed('tdg'), [1]), gateOn(gateNamed('h'), [1])]),
    ],
    [
      'gate g a { h a; t a; } pow(0.5) @ g q[0]; pow(0.5) @ g q[0];',
      [gateOn(gateNamed('h'), [0]), gateOn(gateNamed('t'), [0])],
    ],
  ];
  for (const [body, operations] of exact)
    assertSameAction(three(`qubit[2] q; ${body}`), { qubits: 2, registers: [], operations }, body);
});

test('what a gate in a body means is settled when it is defined', () => {
  assert.deepEqual(names(three('gate a1 q { h q; } gate h q { a1 q; x q; } qubit q; h q;')), ['h', 'x']);
});

test('loops over what is known are unrolled, with aliases, subroutines, switches and early ends', () => {
  const program = three(`
    qubit[4] q; bit[4] c;
    let pair = q[{3, 0}] ++ q[1:2];
    def turn(qubit a, float by) { rx(by) a; }
    for uint i in [0:2:3] { turn(pair[i], i * 0.5); }
    for int i in {1, 2} { if (i == 2) { break; } h pair[i]; }
    int n = 0;
    while (n < 3) { n += 1; if (n == 2) continue; x q[n]; }
    switch (n) { case 1, 2 { y q; } case 3 { z q[0]; } default { y q; } }
    end;
    x q;`);
  const on = program.operations.map((operation) =>
    operation.kind === 'gate' ? [operation.gate.name, ...operation.targets] : [],
  );
  assert.deepEqual(on, [
    ['rx', 3],
    ['rx', 1],
    ['h', 0],
    ['x', 1],
    ['x', 3],
    ['z', 0],
  ]);
});

test('what measured bits tell becomes branches and loops', () => {
  const program = three(`
    qubit[2] q; bit[2] c; bit d;
    def read(qubit a) -> bit { h a; return measure a; }
    d = read(q[1]);
    int number; number = c;
    switch (number) { case 1 { x q[0]; } default { z q[0]; } }
    while (!d) { d = measure q[1]; }
    if (c[1] && c != 1) x q[0]; else if (d == 1) { y q[0]; }`);
  assert.deepEqual(names(program), ['h', 'measure', 'branch', 'loop', 'branch']);
  assert.deepEqual(program.operations[3], {
    kind: 'loop',
    condition: { kind: 'not', of: { kind: 'bits', bits: [2] } },
    body: [{ kind: 'measure', qubit: 1, bit: 2 }],
  });
});

test('a number that was read from bits is not taken for what they are later', () => {
  const late = 'qubit q; bit[1] c; int n; n = c; c[0] = measure q; if (n == 1) x q;';
  assert.throws(() => three(late), {
    code: 'QUANTUM_UNSUPPORTED',
    message: /1:\d+: n holds bits that were measured again/,
  });
  const looped = 'qubit q; bit[1] c; int n; n = c; while (c == 0) { if (n == 1) x q; c[0] = measure q; }';
  assert.throws(() => three(looped), { code: 'QUANTUM_UNSUPPORTED', message: /before this loop/ });
  const set = 'qubit q; bit c; int n = 0; if (c) { n = 1; }';
  assert.throws(() => three(set), { code: 'QUANTUM_UNSUPPORTED', message: /n can not be set/ });
});

test('inputs are bound by name', () => {
  const program = 'input float theta; input int n; qubit[3] q; for int i in [1:n] { rx(theta * i) q[i]; }';
  assert.deepEqual(angles(three(program, { theta: 0.5, n: 2 })), [[0.5], [1]]);
  assert.throws(() => three(program, { theta: 0.5 }), { code: 'INVALID_PARAMS', message: /input n, .*parameters\.n/ });
  assert.throws(() => three(program, { theta: 0.5, n: 2, thta: 1 }), {
    code: 'INVALID_PARAMS',
    message: /did you mean theta/,
  });
  assert.throws(() => three(program, { theta: Number.NaN, n: 2 }), { code: 'INVALID_PARAMS' });
  assert.throws(() => three(program, { theta: 1, n: 0.5 }), { code: 'INVALID_PARAMS', message: /whole/ });
});

test('physical qubits, delays, boxes, annotations and pragmas', () => {
  const program = parseQasm(
    `OPENQASM 3;\ninclude "stdgates.inc";\npragma of "someone" ☃\n@note {anything}\nh $0;\ndelay[100ns] $0;\nbox { cx $0, $3; }\n`,
  );
  assert.equal(program.qubits, 4);
  assert.deepEqual(names(program), ['h', 'x']);
});

const refusals: [code: string, message: RegExp, program: string][] = [
  [
    'QASM_SYNTAX',
    /^OpenQASM 3:9: expected ";" at the end of the statement, found "x"/,
    'OPENQASM 3;\nqubit q;\nreset q x;',
  ],
  ['QASM_SYNTAX', /found the end of the program/, 'OPENQASM 3; qubit q; reset q'],
  ['QASM_SYNTAX', /never closed/, 'OPENQASM 3; qubit q; if (true) { reset q;'],
  ['QASM_SYNTAX', /comment has no end/, 'OPENQASM 3; /* qubit q;'],
  ['QASM_SYNTAX', /"☃" has no meaning/, 'OPENQASM 3; qubit ☃;'],
  ['QASM_SYNTAX', /rx takes 1 parameter, not 2/, 'OPENQASM 3; include "stdgates.inc"; qubit q; rx(1, 2) q;'],
  ['QASM_SYNTAX', /cx acts on 2 qubits here, not 1/, 'OPENQASM 3; include "stdgates.inc"; qubit q; cx q;'],
  ['QASM_SYNTAX', /same qubit twice/, 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; cx q[0], q[0];'],
  ['QASM_SYNTAX', /differ in size/, 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; qreg r[3]; cx q, r;'],
  ['QASM_SYNTAX', /index 5 is out of range: it has 0 to 1/, 'OPENQASM 2.0; qreg q[2]; U(0,0,0) q[5];'],
  ['QASM_SYNTAX', /declared already/, 'OPENQASM 3; qubit q; bit q;'],
  ['QASM_SYNTAX', /"thta" here; did you mean theta/, 'OPENQASM 3; qubit q; const float theta = 1; U(thta, 0, 0) q;'],
  ['QASM_SYNTAX', /no function "sine"; did you mean sin\?/, 'OPENQASM 3; qubit q; U(sine(1), 0, 0) q;'],
  ['QASM_SYNTAX', /division by zero/, 'OPENQASM 3; qubit q; U(1/0, 0, 0) q;'],
  ['QASM_SYNTAX', /is a constant/, 'OPENQASM 3; qubit q; const int n = 1; n = 2;'],
  ['QASM_SYNTAX', /declares no qubits/, ''],
  ['QASM_SYNTAX', /gates, barriers and loops only/, 'OPENQASM 3; gate g a { reset a; } qubit q;'],
  ['QASM_SYNTAX', /either physical qubits/, 'OPENQASM 3; qubit q; reset $0;'],
  ['QASM_SYNTAX', /outside of a loop/, 'OPENQASM 3; qubit q; break;'],
  ['QASM_SYNTAX', /expected "->"|expected ";"/, 'OPENQASM 2.0; qreg q[1]; creg c[1]; measure q c;'],
  [
    'UNSUPPORTED_GATE',
    /2:3: there is no gate "hh"; did you mean h\?/,
    'OPENQASM 2.0; include "qelib1.inc"; qreg q[1];\n  hh q[0];',
  ],
  ['UNSUPPORTED_GATE', /h needs include "stdgates.inc"/, 'OPENQASM 3; qubit q; h q;'],
  ['UNSUPPORTED_GATE', /opaque/, 'OPENQASM 2.0; opaque f a; qreg q[1]; f q[0];'],
  [
    'UNSUPPORTED_GATE',
    /power 0.5/,
    'OPENQASM 3; include "stdgates.inc"; qubit[2] q; gate g a, b { cx a, b; cx b, a; } pow(0.5) @ g q[0], q[1];',
  ],
  ['UNSUPPORTED_GATE', /"g"/, 'OPENQASM 3; gate g a { g a; } qubit q; g q;'],
  ['QUANTUM_UNSUPPORTED', /only "qelib1.inc" and "stdgates.inc"/, 'OPENQASM 2.0; include "../../etc/passwd";'],
  ['QUANTUM_UNSUPPORTED', /"4.0"/, 'OPENQASM 4.0; qubit q;'],
  ['QUANTUM_UNSUPPORTED', /calibrations/, 'OPENQASM 3; defcal x $0 { }'],
  ['QUANTUM_UNSUPPORTED', /extern/, 'OPENQASM 3; extern f(int) -> int;'],
  ['QUANTUM_UNSUPPORTED', /needs bits for its result/, 'OPENQASM 3; qubit q; measure q;'],
  ['QUANTUM_UNSUPPORTED', /angles/, 'OPENQASM 3; qubit q; bit c; U(c, 0, 0) q;'],
  ['QUANTUM_UNSUPPORTED', /break where measured bits tell/, 'OPENQASM 3; qubit q; bit c; while (c) { break; }'],
  ['CIRCUIT_TOO_LARGE', /4096 qubits/, 'OPENQASM 3; qubit[4097] q;'],
  ['CIRCUIT_TOO_LARGE', /nested/, `OPENQASM 3; qubit q; ${'if (true) {'.repeat(100)}`],
  ['CIRCUIT_TOO_LARGE', /nested/, `OPENQASM 3; qubit q; U(${'('.repeat(100)}1`],
  ['CIRCUIT_TOO_LARGE', /nested/, 'OPENQASM 3; def f(qubit a) { f(a); } qubit q; f(q);'],
  ['CIRCUIT_TOO_LARGE', /operators/, `OPENQASM 3; qubit q; U(${'1+'.repeat(5000)}1, 0, 0) q;`],
  ['CIRCUIT_TOO_LARGE', /steps/, 'OPENQASM 3; qubit q; while (true) { }'],
  ['CIRCUIT_TOO_LARGE', /a range/, 'OPENQASM 3; qubit q; for int i in [0:99999999999] { reset q; }'],
  [
    'CIRCUIT_TOO_LARGE',
    /2000000 operations/,
    'OPENQASM 3; qubit q; gate g a { U(1, 0, 0) a; U(2, 0, 0) a; } pow(1e15) @ g q;',
  ],
  ['CIRCUIT_TOO_LARGE', /qubits and bits in all/, 'OPENQASM 3; qubit[4096] q; for int i in [0:9999] { barrier q; }'],
  ['CIRCUIT_TOO_LARGE', /longer than/, `OPENQASM 3;${' '.repeat(4 * 1024 * 1024)}`],
];
for (const [code, message, program] of refusals)
  test(`refused, ${code}: ${program.slice(0, 60).replaceAll('\n', ' ')}`, () => {
    assert.throws(() => parseQasm(program), { name: 'StepError', code, message });
  });

const entries = JSON.parse(
  readFileSync(new URL('../../../../../test/vectors/quantum/qiskit.json', import.meta.url), 'utf8'),
) as { program: string }[];
const runs = process.env.JSONFLOW_LONG === '1' ? 50_000 : 400;

test('whatever is put into or taken out of a program, it is read or refused, never a crash', () => {
  const pieces = [
    '{',
    '}',
    '(',
    ')',
    '[',
    ']',
    ';',
    ',',
    '@',
    '->',
    '"',
    '/*',
    '-',
    '$1',
    'q',
    'c',
    '1',
    '1e999',
    '0.5',
    '=',
    '==',
    '++',
    ':',
  ];
  const words = [
    'ctrl @ ',
    'inv @ ',
    'pow(2) @ ',
    'if (',
    'while (c == 1) ',
    'for int i in [0:3] ',
    'measure ',
    'gate ',
    'def ',
    'let ',
    'return ',
    'switch ',
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...entries),
      fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(12), fc.constantFrom(...pieces, ...words, '')),
        { maxLength: 3 },
      ),
      ({ program }, edits) => {
        const text = edits.reduce((before, [place, taken, put]) => {
          const at = Math.floor(place * before.length);
          return before.slice(0, at) + put + before.slice(at + taken);
        }, program);
        try {
          parseQasm(text);
        } catch (thrown) {
          assert.ok(thrown instanceof StepError, `${text}\n${thrown instanceof Error ? thrown.stack : thrown}`);
        }
      },
    ),
    { numRuns: runs },
  );
});
