import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { meter } from '../../../src/adapters/wasm/meter/meter.ts';
import type { Policy } from '../../../src/adapters/wasm/types.ts';
import { type Program, programOf } from './fuzz-programs.ts';

// A case is a call of a made-up function with made-up arguments, in the original, or an oracle, and in the rewritten module. More of them:
// JSONFLOW_LONG=1, and JSONFLOW_CASES for how many; JSONFLOW_SEED for others.
const long = process.env.JSONFLOW_LONG === '1';
const casesWanted = long ? Number(process.env.JSONFLOW_CASES ?? 100_000) : 6_000;
const seed = Number(process.env.JSONFLOW_SEED ?? 20_261);

const base: Policy = { memoryPagesMax: 3, tableElementsMax: 1_000, callDepthMax: 100_000, canonicalNaN: true };
const fuelOfCall = 3_000_000n;

interface Ran {
  /** Results, traps and calls of the host, in order. */
  seen: string[];
  memory: Buffer;
  /** Of each call: what was counted, and whether it ended in a trap. */
  costs: { cost: bigint; trapped: boolean }[];
  outOfFuel: boolean;
}

const odd = [
  0,
  1,
  -1,
  7,
  255,
  -128,
  65_535,
  2 ** 31 - 1,
  -(2 ** 31),
  0.5,
  -0,
  1e10,
  Number.NaN,
  Number.POSITIVE_INFINITY,
];

function run(bytes: Uint8Array, { functions }: Program, round: number): Ran {
  const ran: Ran = { seen: [], memory: Buffer.alloc(0), costs: [], outOfFuel: false };
  const host = {
    h: (value: number): number => {
      ran.seen.push(`h ${value}`);
      return value ^ 0x5a5a;
    },
  };
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  const { exports } = new WebAssembly.Instance(module, { host });
  const global = (name: string) => exports[name] as WebAssembly.Global | undefined;
  const [fuel, depth, counter, stop] = ['jsonflow:fuel', 'jsonflow:depth', 'counter', 'jsonflow:stop'].map(global);
  for (const [index, { params }] of functions.entries())
    for (let call = 0; call < 3; call += 1) {
      if (fuel !== undefined) fuel.value = fuelOfCall;
      if (depth !== undefined) depth.value = base.callDepthMax;
      if (counter !== undefined) counter.value = 0n;
      const args = params.map((type, at) => {
        const value = odd[(round * 31 + index * 7 + call * 5 + at * 3) % odd.length] ?? 0;
        return type === 'i64' ? BigInt(Math.trunc(Number.isFinite(value) ? value : 3)) : value;
      });
      let trapped = false;
      try {
        const result = (exports[`f${index}`] as (...args: unknown[]) => unknown)(...args);
        ran.seen.push(Array.isArray(result) ? result.map(shown).join(' ') : shown(result));
      } catch (thrown) {
        if (!(thrown instanceof WebAssembly.RuntimeError)) throw thrown;
        trapped = true;
        ran.seen.push(thrown.message);
      }
      if ((((stop?.value as number | undefined) ?? 0) & 3) !== 0) ran.outOfFuel = true;
      const cost =
        fuel === undefined ? ((counter?.value as bigint | undefined) ?? 0n) : fuelOfCall - (fuel.value as bigint);
      ran.costs.push({ cost, trapped });
      if (ran.outOfFuel) return ran;
      if (depth !== undefined && !trapped) assert.equal(depth.value, base.callDepthMax, 'depth is given back');
    }
  ran.memory = Buffer.from((exports.memory as WebAssembly.Memory).buffer);
  return ran;
}

const shown = (value: unknown): string => (Object.is(value, -0) ? '-0' : String(value));

it('rewritten programs do what a naive rewriting does, to the bit and to the unit of fuel', () => {
  const totals = { programs: 0, cases: 0, traps: 0, outOfFuel: 0 };
  const check = (number: number, size: number): void => {
    const program = programOf(number, size);
    assert.ok(WebAssembly.validate(program.plain), 'the generator makes valid modules');
    const canonical = meter(program.plain, base).bytes;
    const metered = run(canonical, program, number);
    totals.programs += 1;
    totals.cases += metered.costs.length;
    if (metered.outOfFuel) {
      totals.outOfFuel += 1;
      assert.deepEqual(run(canonical, program, number).seen, metered.seen);
      return;
    }
    const oracle = run(program.oracle, program, number);
    assert.deepEqual(metered.seen, oracle.seen);
    assert.ok(metered.memory.equals(oracle.memory), 'the memories differ');
    for (const [index, { cost, trapped }] of metered.costs.entries()) {
      const counted = oracle.costs[index];
      assert.equal(trapped, counted?.trapped);
      if (trapped) totals.traps += 1;
      // A block is paid as it is entered, so one that traps has been paid to its end.
      if (trapped) assert.ok(cost >= (counted?.cost ?? 0n), `call ${index}: ${cost} < ${counted?.cost}`);
      else assert.equal(cost, counted?.cost, `call ${index}`);
    }
    // Without canonical NaNs, against the module as it is.
    const bare = run(meter(program.plain, { ...base, canonicalNaN: false }).bytes, program, number);
    totals.cases += bare.costs.length;
    // Bits of a NaN may be the length of a bulk operation here.
    if (bare.outOfFuel) return;
    const plain = run(program.plain, program, number);
    assert.deepEqual(bare.seen, plain.seen);
    assert.ok(bare.memory.equals(plain.memory), 'the memories differ without canonical NaNs');
  };
  for (let batch = 0; totals.cases < casesWanted; batch += 1)
    fc.assert(fc.property(fc.nat(2 ** 31 - 1), fc.integer({ min: 1, max: 120 }), check), {
      numRuns: 100,
      seed: seed + batch,
    });
  if (long) console.log(totals);
  assert.ok(totals.traps > 0 && totals.outOfFuel * 10 < totals.programs, JSON.stringify(totals));
});
