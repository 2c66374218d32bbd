// Makes qsharp.json: Q# programs and what their compiler, qsharp-lang, makes of them. `node test/vectors/quantum/make-qsharp.ts`
import { readFileSync, writeFileSync } from 'node:fs';
import { getCompiler, loadWasmModule, QscEventTarget } from 'qsharp-lang';
import { filesOf } from '../../../src/adapters/quantum/formats/qsharp/entry.ts';

const several = `namespace Demo {
  import Std.Math.*;
  // operation Turn() : Unit {}
  @EntryPoint()
  operation Other() : Result { use q = Qubit(); M(q) }
  operation Ghz(n : Int) : Result[] {
    use q = Qubit[n];
    H(q[0]);
    for at in 1..n - 1 { CNOT(q[at - 1], q[at]); }
    MResetEachZ(q)
  }
  operation Turn(theta : Double) : (Result, Result) {
    use (a, b) = (Qubit(), Qubit());
    Rx(theta * PI(), a);
    Controlled Ry([a], (theta, b));
    Adjoint T(b);
    return (MResetZ(b), MResetZ(a));
  }
}
`;

const programs = [
  {
    name: 'bell',
    source: `operation Main() : Result[] {
  use q = Qubit[2];
  H(q[0]);
  CNOT(q[0], q[1]);
  let r = MeasureEachZ(q);
  ResetAll(q);
  r
}
`,
  },
  { name: 'ghz', source: several, operation: 'Ghz(4)' },
  { name: 'rotation', source: several, operation: 'Demo.Turn(0.4)' },
  {
    name: 'measured',
    source: `import Std.Measurement.*;
operation Main() : Result[] {
  use q = Qubit[3];
  H(q[0]);
  let first = M(q[0]);
  if first == One { X(q[1]); } else { Rx(1.0, q[1]); }
  mutable ones = 0;
  for _ in 0..1 {
    H(q[2]);
    if MResetZ(q[2]) == One { set ones += 1; }
  }
  if ones == 1 { X(q[2]); }
  let all = [first, M(q[1]), M(q[2])];
  ResetAll(q);
  all
}
`,
  },
  {
    name: 'nested',
    source: `operation Main() : Result[] {
  use q = Qubit[3];
  ApplyToEach(H, q);
  let (a, b) = (M(q[0]) == One, M(q[1]) == One);
  if a {
    if b { Reset(q[2]); } else { S(q[2]); H(q[2]); }
  } elif not b {
    Ry(0.3, q[2]);
    Rzz(0.7, q[2], q[0]);
  }
  let n = MeasureInteger(q[0..1]);
  if n > 2 or (n ||| 1) == 1 { X(q[2]); }
  ApplyToEach(H, q[0..1]);
  MResetEachZ(q)
}
`,
  },
  {
    name: 'gates',
    source: `operation Main() : Result[] {
  use q = Qubit[4];
  ApplyToEach(Ry(0.9, _), q);
  X(q[0]); Y(q[1]); Z(q[2]); S(q[3]); T(q[0]); Adjoint S(q[1]); Adjoint T(q[2]); SX(q[3]);
  CNOT(q[0], q[1]); CY(q[1], q[2]); CZ(q[2], q[3]); CCNOT(q[0], q[1], q[2]); SWAP(q[0], q[3]);
  Rx(0.1, q[0]); Ry(0.2, q[1]); Rz(0.3, q[2]); Rxx(0.4, q[0], q[1]); Ryy(0.5, q[1], q[2]); Rzz(0.6, q[2], q[3]);
  R1(0.8, q[0]); Controlled H([q[0], q[1]], q[2]); Exp([PauliX, PauliZ], 0.35, [q[2], q[3]]);
  ApplyToEach(H, q);
  MResetEachZ(q)
}
`,
  },
];

await loadWasmModule(
  new Uint8Array(readFileSync(new URL('../lib/web/qsc_wasm_bg.wasm', import.meta.resolve('qsharp-lang')))).buffer,
);
const compiler = await getCompiler();
const shots = 4000;
const entries = [];
for (const { name, source, operation } of programs) {
  const program = { sources: filesOf(source, operation), languageFeatures: [] };
  const qir = await compiler.getQir({ ...program, profile: 'adaptive_ri' });
  const events = new QscEventTarget(true);
  await compiler.run({ ...program, profile: 'unrestricted' }, '', shots, events);
  const counts: Record<string, number> = {};
  for (const { result } of events.getResults()) {
    // The first that is returned stands first: here it is bit 0, which stands last.
    const text = [...String(result).matchAll(/Zero|One/g)].map(([bit]) => (bit === 'One' ? 1 : 0)).reverse().join('');
    counts[text] = (counts[text] ?? 0) + 1;
  }
  const sorted = Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
  entries.push({ name, source, ...(operation === undefined ? {} : { operation }), qir, counts: sorted });
}
writeFileSync(new URL('qsharp.json', import.meta.url), `${JSON.stringify(entries, undefined, 1)}\n`);
