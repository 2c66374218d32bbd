import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { meter } from '../../../src/adapters/wasm/meter/meter.ts';
import type { Policy } from '../../../src/adapters/wasm/types.ts';
import { StepError } from '../../../src/lib/errors.ts';
import { assemble } from '../../support/wat.ts';

const policy: Policy = { memoryPagesMax: 4, tableElementsMax: 100, callDepthMax: 1_000, canonicalNaN: true };

const source = assemble(`(module
  (memory (export "memory") 1 10)
  (table (export "table") 10 200 funcref)
  (global $started (mut i32) (i32.const 0))
  (func $start (global.set $started (i32.const 1)))
  (start $start)
  (func (export "started") (result i32) (global.get $started))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $count (export "count") (param i32)
    (loop $l (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $l (local.get 0))))
  (func (export "spin") (loop $l (br $l)))
  (func (export "empty") (loop $l (block (block (br $l)))))
  (func $deep (export "deep") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))))
  (func $early (export "early") (param i32) (result i32 i64)
    (drop (call $deep (i32.const 2)))
    (if (local.get 0) (then (return (i32.const 7) (i64.const 8))))
    (i32.const 9) (i64.const 10))
  (func (export "leaves") (param i32)
    (block $out (call $count (i32.const 1)) (br_if $out (local.get 0)) (return)))
  (func $tail (export "tail") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 5))))
    (return_call $tail (i32.sub (local.get 0) (i32.const 1))))
  (func (export "table_switch") (param i32) (result i32)
    (block $b (block $a (br_table $a $b (local.get 0))) (return (i32.const 1))) (i32.const 2))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))
  (func (export "growTable") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
  (func (export "nan32") (param f32) (result i32) (i32.reinterpret_f32 (f32.div (local.get 0) (local.get 0))))
  (func (export "nan64") (param f64) (result i64) (i64.reinterpret_f64 (f64.sqrt (f64.neg (local.get 0)))))
  (func (export "nanChain") (param f32) (result i32)
    (i32.reinterpret_f32 (f32.add (f32.div (local.get 0) (local.get 0)) (f32.const nan:0x200001))))
  (func (export "nanVector") (param f32) (result i32)
    (i32x4.extract_lane 3 (f32x4.div (f32x4.splat (local.get 0)) (f32x4.splat (local.get 0)))))
  (func (export "moved") (result i32) (i32.reinterpret_f32 (f32.neg (f32.const nan:0x200001)))))`);

type Call = (...args: unknown[]) => unknown;

/** A live instance with what its meters show. */
function live(bytes = source, given: Partial<Policy> = {}, fuel = 1_000_000n) {
  const metered = meter(bytes, { ...policy, ...given });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(metered.bytes), {});
  const global = (name: string) => exports[`jsonflow:${name}`] as WebAssembly.Global;
  const [left, depth, stop] = [global('fuel'), global('depth'), global('stop')];
  left.value = fuel;
  depth.value = given.callDepthMax ?? policy.callDepthMax;
  return {
    exports,
    left,
    depth,
    stop,
    call: (name: string, ...args: unknown[]) => (exports[name] as unknown as Call)(...args),
    /** What one call takes. */
    cost(name: string, ...args: unknown[]): bigint {
      const before = left.value as bigint;
      this.call(name, ...args);
      return before - (left.value as bigint);
    },
  };
}

describe('fuel', () => {
  it('is one for each instruction that runs', () => {
    const { cost, ...instance } = live();
    const of = cost.bind({ ...instance, cost });
    assert.equal(of('add', 2, 3), 3n);
    // One before the loop for none; six a turn.
    assert.equal(of('count', 1), 6n);
    assert.equal(of('count', 1_000), 6_000n);
    assert.equal(of('table_switch', 0), 4n);
    assert.equal(of('table_switch', 9), 3n);
  });

  it('is paid for locals where a function has very many', () => {
    const locals = (count: number) => assemble(`(module (func (export "f") (local ${'i64 '.repeat(count)}) (nop)))`);
    assert.equal(live(locals(256)).cost('f'), 1n);
    assert.equal(live(locals(2_000)).cost('f'), 251n);
  });

  it('ends every loop, and then all of it is used', () => {
    for (const name of ['spin', 'empty']) {
      const instance = live(source, {}, 12_345n);
      assert.throws(() => instance.call(name), WebAssembly.RuntimeError);
      assert.equal(instance.left.value, 0n);
      assert.equal(instance.stop.value, 1);
    }
  });

  it('is paid for bulk operations by their length, before they run', () => {
    const instance = live();
    assert.equal(instance.cost('fill', 65_536) - instance.cost('fill', 0), 1_024n);
    assert.equal(instance.cost('grow', 1) - instance.cost('grow', 0), 64n);
    const poor = live(source, {}, 100n);
    assert.throws(() => poor.call('fill', 65_536));
    assert.equal(new Uint8Array((poor.exports.memory as WebAssembly.Memory).buffer)[0], 0);
  });

  it('is asked for what can be had with no wrap', () => {
    const instance = live();
    assert.throws(() => instance.call('fill', -1));
    assert.equal(instance.stop.value, 1);
  });
});

describe('depth', () => {
  it('is given back however a function is left', () => {
    const instance = live();
    assert.equal(instance.call('deep', 100), 100);
    assert.deepEqual(instance.call('early', 1), [7, 8n]);
    assert.deepEqual(instance.call('early', 0), [9, 10n]);
    instance.call('leaves', 0);
    instance.call('leaves', 1);
    assert.equal(instance.call('tail', 100_000), 5, 'tail calls take none');
    assert.equal(instance.depth.value, policy.callDepthMax);
  });

  it('bounds recursion at the same place, cold and hot', () => {
    const instance = live();
    assert.equal(instance.call('deep', 999), 999);
    for (let round = 0; round < 200; round += 1) {
      instance.depth.value = policy.callDepthMax;
      instance.left.value = 1_000_000n;
      assert.equal(instance.call('deep', 999), 999);
      assert.throws(() => instance.call('deep', 1_000));
    }
    assert.equal(instance.stop.value, 2);
  });
});

describe('limits', () => {
  it('bound memory and tables, whatever the module states, and tell of what was refused', () => {
    const instance = live();
    assert.equal(instance.call('grow', 3), 1);
    assert.equal(instance.stop.value, 0);
    assert.equal(instance.call('grow', 1), -1);
    assert.equal(instance.stop.value, 256);
    assert.equal(instance.call('growTable', 90), 10);
    assert.equal(instance.call('growTable', 1), -1);
    assert.equal(instance.stop.value, 256 + 512);
  });

  it('refuse a module that begins above them', () => {
    assert.throws(() => meter(source, { ...policy, memoryPagesMax: 0 }), { code: 'MEMORY_LIMIT' });
    assert.throws(() => meter(source, { ...policy, tableElementsMax: 9 }), { code: 'TABLE_LIMIT' });
  });

  it('refuse a module that is too large, wherever it comes from', () => {
    assert.throws(() => meter(new Uint8Array(64 * 1024 * 1024 + 1), policy), { code: 'MODULE_TOO_LARGE' });
  });
});

it('the start function runs when it is called, and no sooner', () => {
  const instance = live();
  assert.equal(instance.call('started'), 0);
  instance.call('jsonflow:start');
  assert.equal(instance.call('started'), 1);
});

it('a NaN that is calculated has one bit pattern; bits that are only moved stay', () => {
  const instance = live();
  assert.equal(instance.call('nan32', 0), 0x7fc00000);
  assert.equal(instance.call('nan64', 4), 0x7ff8000000000000n);
  assert.equal(instance.call('nanChain', 0), 0x7fc00000);
  assert.equal(instance.call('nanVector', 0), 0x7fc00000);
  assert.equal((instance.call('moved') as number) >>> 0, 0xffa00001);
});

/** The number as five bytes. */
const leb = (value: number): number[] => [0, 7, 14, 21, 28].map((by) => ((value >>> by) & 0x7f) | (by < 28 ? 0x80 : 0));

/** A module of one function without params, from its code. */
const withCode = (...code: number[]): Uint8Array =>
  Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0],
    ...[10, ...leb(code.length + 8), 1, ...leb(code.length + 2), 0, ...code, 0x0b],
  ]);

it('what the rewriter adds is out of reach', () => {
  meter(withCode(0x01), policy);
  const tricks: Record<string, number[]> = {
    'a meter as a global': [0x42, 0x7f, 0x24, 0],
    'a function that was added': [0x10, 1],
    'a reference to it': [0xd2, 1, 0x1a],
    'a local that was added': [0x20, 0, 0x1a],
    'the block around the function': [0x0c, 1],
    'that block by a table': [0x41, 0, 0x0e, 0, 1],
    'a type that was added': [0x02, 1, 0x0b],
    'code behind the end': [0x0b, 0x01],
  };
  for (const [what, code] of Object.entries(tricks))
    assert.throws(() => meter(withCode(...code), policy), { code: 'MODULE_INVALID' }, what);
});

it('a block of a type that takes more bytes than one hides no code', () => {
  // (loop (block (type (ref null 0)) (br 1)) …): read as "unreachable" by who takes the type for one byte.
  const hidden = withCode(0x03, 0x40, 0x02, 0x63, 0x00, 0x0c, 0x01, 0x0b, 0x1a, 0x0b);
  assert.ok(WebAssembly.validate(hidden), 'V8 takes it');
  assert.throws(() => meter(hidden, policy), { code: 'MODULE_UNSUPPORTED' });
  for (const form of [[0x64, 0x00], [0x63, 0x70], [0xc0, 0x7f], [0x6e], [0x5f]])
    assert.throws(() => meter(withCode(0x02, ...form, 0x00, 0x0b, 0x1a), policy), /MODULE|WebAssembly/);
});

it('operands are counted on both ways of a condition', () => {
  const times = (count: number, ...code: number[]): number[] => Array.from({ length: count }, () => code).flat();
  const many = 4_000;
  const weight = (first: number[]): number => {
    const second = [...times(many, 0x41, 0), 0x10, 0, ...times(many, 0x1a)];
    const condition = [0x41, 0, 0x04, 0x40, ...first, 0x05, ...second, 0x0b];
    const instance = live(withCode(...times(many, 0x41, 0), ...condition, ...times(many, 0x1a)));
    assert.throws(() => instance.call('f'));
    return policy.callDepthMax - (instance.depth.value as number);
  };
  assert.equal(weight([0x00, ...times(many, 0x1a)]), weight([0x01]));
});

it('a module may not take the names of the meters', () => {
  const taken = assemble('(module (func (export "jsonflow:fuel")))');
  assert.throws(() => meter(taken, policy), { code: 'MODULE_INVALID' });
});

const real = ['crypto_hash', 'image_processor', 'ml_training', 'etl_transform'].map((name): [string, Uint8Array] => [
  name,
  readFileSync(new URL(`../../../modules/${name}.wasm`, import.meta.url)),
]);
const wide: Policy = { ...policy, memoryPagesMax: 65_536, tableElementsMax: 1_000_000 };

it('modules of real toolchains stay valid', () => {
  for (const [name, bytes] of real)
    for (const canonicalNaN of [true, false])
      assert.ok(WebAssembly.validate(meter(bytes, { ...wide, canonicalNaN }).bytes), name);
});

it('no damaged module is made valid, and none ends in anything but a typed error', () => {
  const modules = [source, ...real.filter(([, { length }]) => length < 40_000).map(([, bytes]) => bytes)];
  let refused = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...modules),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }),
      (bytes, changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[at % damaged.length] = value;
        let metered: Uint8Array;
        try {
          metered = meter(damaged, wide).bytes;
        } catch (thrown) {
          assert.ok(thrown instanceof StepError, String(thrown));
          refused += 1;
          return;
        }
        if (WebAssembly.validate(metered)) assert.ok(WebAssembly.validate(damaged), 'it was not valid before');
      },
    ),
    { numRuns: process.env.JSONFLOW_LONG === '1' ? 20_000 : 300, seed: 7 },
  );
  assert.ok(refused > 0);
});

it('a module cut short anywhere is malformed', () => {
  for (let length = 0; length < source.length; length += 7)
    assert.throws(
      () => {
        const { bytes } = meter(source.slice(0, length), policy);
        if (WebAssembly.validate(bytes) && length > 8 && WebAssembly.validate(source.slice(0, length)))
          throw new StepError('MODULE_INVALID', 'a shorter module is one as well');
      },
      { code: 'MODULE_INVALID' },
      String(length),
    );
});
