// The same module and input give the same output, fuel and failure: in a new thread, in one that has run it often, beside others.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { meter } from '../../../src/adapters/wasm/meter/meter.ts';
import { SandboxFailure } from '../../../src/adapters/wasm/sandbox/answers.ts';
import type { CallOrder, CallPlan, SandboxModule } from '../../../src/adapters/wasm/sandbox/order.ts';
import { Sandbox } from '../../../src/adapters/wasm/sandbox/sandbox.ts';
import type { Policy } from '../../../src/adapters/wasm/types.ts';
import { assemble } from '../../support/wat.ts';
import { orderOf } from './sandbox-modules.ts';

const long = process.env.JSONFLOW_LONG === '1';
const coldRuns = long ? 500 : 6;
const hotRuns = long ? 1_000 : 60;

const policy: Policy = { memoryPagesMax: 64, tableElementsMax: 1_000, callDepthMax: 10_000, canonicalNaN: true };

function prepared(key: string, bytes: Uint8Array): SandboxModule {
  const metered = meter(bytes, policy);
  return { key, module: new WebAssembly.Module(new Uint8Array(metered.bytes)), shape: metered.shape };
}

const shipped = (name: string): SandboxModule =>
  prepared(name, readFileSync(new URL(`../../../modules/${name}.wasm`, import.meta.url)));

const hash = shipped('crypto_hash');
const training = shipped('ml_training');
const own = prepared(
  'own',
  assemble(`(module
    (memory 1)
    (func $deep (export "deep") (param i32) (result i32)
      (local i64 i64 i64 i64) (local f64 f64 f64 f64)
      (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
        (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))))
    (func (export "nan") (param f64 f64) (result i64) (local i32)
      (loop $l
        (local.set 2 (i32.add (local.get 2) (i32.const 1)))
        (f64.store (i32.const 8) (f64.div (f64.sub (local.get 0) (local.get 0)) (f64.mul (local.get 1) (f64.const 0))))
        (br_if $l (i32.lt_u (local.get 2) (i32.const 20000))))
      (i64.load (i32.const 8)))
    (func (export "divide") (param i32) (result i32)
      (loop $l (i32.store (i32.const 0) (i32.div_u (i32.const 7) (local.get 0)))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br $l)) (i32.const 0))
    (func (export "wild") (param i32) (result i32)
      (loop $l (drop (i32.load8_u (local.get 0)))
        (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br $l)) (i32.const 0))
    (func (export "grab") (result i32)
      (loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))) (unreachable)))`),
);

type Call = [
  what: string,
  module: SandboxModule,
  name: string,
  args: unknown[],
  plan: Partial<CallPlan>,
  fuel: bigint,
  code?: string,
];
const enough = 1n << 40n;
const samples = Array.from({ length: 12 }, (_, index) => [index / 3, ((index * 7) % 5) - 2.5]);
const calls: Call[] = [
  ['a hash', hash, 'sha256', [{ data: 'x'.repeat(1_000) }], { abi: 'buffer' }, enough],
  [
    'a trained model',
    training,
    'train_model',
    [{ features: samples, labels: samples.map(([x = 0]) => Number(x > 2)), epochs: 20 }],
    { abi: 'buffer' },
    enough,
  ],
  ['bits of a NaN', own, 'nan', [1, 2], {}, enough],
  ['the end of fuel', own, 'nan', [1, 2], {}, 54_321n, 'OUT_OF_FUEL'],
  ['calls as deep as allowed', own, 'deep', [4_000], {}, enough],
  ['calls that are too deep', own, 'deep', [1_000_000], {}, enough, 'CALL_DEPTH_EXCEEDED'],
  ['a division by zero', own, 'divide', [30_000], {}, enough, 'WASM_TRAP'],
  ['an access out of bounds', own, 'wild', [10_000], {}, enough, 'WASM_TRAP'],
  ['memory beyond its limit', own, 'grab', [], {}, enough, 'MEMORY_LIMIT'],
];

/** All that a receipt could show of a call. */
async function shownBy(sandbox: Sandbox, [, module, name, args, plan, fuel]: Call): Promise<string> {
  const input: CallOrder['input'] =
    plan.abi === 'buffer' ? { kind: 'args', args: args[0] as never } : { kind: 'args', args: args as never };
  const order = { ...orderOf(module, name, [], { plan, fuel }), policy, input };
  try {
    const { result, fuelUsed, memoryBytes } = await sandbox.call(order);
    const bytes = JSON.stringify(result);
    return `${createHash('sha256').update(bytes).digest('hex')} ${bytes.slice(0, 40)} ${fuelUsed} ${memoryBytes}`;
  } catch (thrown) {
    if (!(thrown instanceof SandboxFailure)) throw thrown;
    return `${thrown.code} ${thrown.message} ${thrown.facts.fuelUsed} ${thrown.facts.memoryBytes}`;
  }
}

const hot = new Sandbox({ threadsMax: 2 });
after(() => hot.close());

test('calls give the same output, fuel and failure, cold and hot, in one thread and in two', async () => {
  const expected = new Map<string, string>();
  const compare = (call: Call, seen: string, how: string): void => {
    const [what, , , , , , code] = call;
    const first = expected.get(what);
    if (first === undefined) {
      expected.set(what, seen);
      assert.match(seen, code === undefined ? /^[0-9a-f]{64} / : new RegExp(`^${code} `), what);
    } else assert.equal(seen, first, `${what}, ${how}`);
  };
  for (let run = 0; run < coldRuns; run += 1) {
    const cold = new Sandbox({ threadsMax: 1 });
    // Each call comes first in one of the threads.
    for (const at of calls.keys()) {
      const call = calls[(at + run) % calls.length];
      if (call !== undefined) compare(call, await shownBy(cold, call), 'cold');
    }
    await cold.close();
  }
  for (let run = 0; run < hotRuns; run += 1) {
    const seen = await Promise.all(calls.map((call) => shownBy(hot, call)));
    for (const [index, call] of calls.entries()) compare(call, seen[index] ?? '', `run ${run}`);
  }
  if (long) console.log(Object.fromEntries(expected));
});
