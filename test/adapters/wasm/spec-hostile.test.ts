// What bytes of a module may try, before anything runs and through the start function: each is stopped with a typed error.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cursor } from '../../../src/adapters/wasm/binary/cursor.ts';
import { readModule } from '../../../src/adapters/wasm/binary/read-module.ts';
import { shapeOf } from '../../../src/adapters/wasm/binary/shape.ts';
import { meter } from '../../../src/adapters/wasm/meter/meter.ts';
import { Writer } from '../../../src/adapters/wasm/meter/writer.ts';
import { Sandbox } from '../../../src/adapters/wasm/sandbox/sandbox.ts';
import type { Policy } from '../../../src/adapters/wasm/types.ts';
import { StepError } from '../../../src/lib/errors.ts';
import { assemble } from '../../support/wat.ts';
import { orderOf } from './sandbox-modules.ts';

const policy: Policy = { memoryPagesMax: 64, tableElementsMax: 1_000, callDepthMax: 10_000, canonicalNaN: true };
const sandbox = new Sandbox({ threadsMax: 1 });
after(() => sandbox.close());

const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** 2^32 - 1. */
const most = [0xff, 0xff, 0xff, 0xff, 0x0f];
const bytesOf = (...parts: (number | readonly number[] | Uint8Array)[]): Uint8Array => {
  const out = new Writer();
  for (const part of parts) typeof part === 'number' ? out.byte(part) : out.raw(Uint8Array.from(part));
  return out.done();
};
const section = (id: number, ...content: (number | readonly number[] | Uint8Array)[]): Uint8Array => {
  const inner = bytesOf(...content);
  return new Writer().byte(id).u32(inner.length).raw(inner).done();
};
const module = (...sections: Uint8Array[]): Uint8Array => bytesOf(header, ...sections);
const emptyType = section(1, 1, 0x60, 0, 0);
/** One function without params or results. */
const withBody = (...body: (number | readonly number[] | Uint8Array)[]): Uint8Array => {
  const inner = bytesOf(...body);
  return module(emptyType, section(3, 1, 0), section(10, 1, new Writer().u32(inner.length).done(), inner));
};
const times = (count: number, ...code: number[]): Uint8Array => {
  const all = new Uint8Array(count * code.length);
  for (let at = 0; at < all.length; at += 1) all[at] = code[at % code.length] ?? 0;
  return all;
};

/** The code of the error that stops it, in the rewriter or in the engine. */
function stopOf(bytes: Uint8Array): string {
  let metered: Uint8Array;
  try {
    metered = meter(bytes, policy).bytes;
  } catch (thrown) {
    assert.ok(thrown instanceof StepError, String(thrown));
    assert.doesNotMatch(thrown.message, /\p{Cc}/u);
    return thrown.code;
  }
  return WebAssembly.validate(new Uint8Array(metered)) ? 'nothing' : 'the engine';
}

test('malformed numbers', () => {
  const cases: Record<string, Uint8Array> = {
    'a size of six bytes': bytesOf(header, 1, [0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
    'a size above 32 bits': bytesOf(header, 1, [0x84, 0x80, 0x80, 0x80, 0x70], 1, 0x60, 0, 0),
    'a size without an end': bytesOf(header, 1, 0x80),
    'an i32 of six bytes': withBody(0, 0x41, [0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 0x1a, 0x0b),
    'an i32 beyond 32 bits': withBody(0, 0x41, [0xff, 0xff, 0xff, 0xff, 0x0f], 0x1a, 0x0b),
    'an i32 with an odd sign': withBody(0, 0x41, [0x80, 0x80, 0x80, 0x80, 0x40], 0x1a, 0x0b),
    'an i64 of eleven bytes': withBody(0, 0x42, times(10, 0x80), 0, 0x1a, 0x0b),
    'an i64 beyond 64 bits': withBody(0, 0x42, times(9, 0xff), 0x02, 0x1a, 0x0b),
    'a local of six bytes': withBody(0, 0x20, [0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 0x1a, 0x0b),
    'an opcode of six bytes': withBody(0, 0xfc, [0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 0x0b),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    assert.equal(stopOf(bytes), 'MODULE_INVALID', what);
    assert.ok(!WebAssembly.validate(new Uint8Array(bytes)), `${what}: V8 refuses it too`);
  }
  // Longer than need be, but within their bits: valid.
  assert.equal(stopOf(withBody(0, 0x41, [0x80, 0x80, 0x80, 0x80, 0x00], 0x1a, 0x0b)), 'nothing');
  assert.equal(stopOf(withBody(0, 0x42, times(9, 0xff), 0x7f, 0x1a, 0x0b)), 'nothing');
});

test('counts and sizes of what is not there', () => {
  for (const id of [1, 2, 3, 4, 5, 6, 7, 9, 10, 11]) {
    assert.equal(stopOf(module(section(id, most))), 'MODULE_INVALID', `items of section ${id}`);
    assert.equal(stopOf(bytesOf(header, id, most)), 'MODULE_INVALID', `bytes of section ${id}`);
    assert.equal(stopOf(module(section(id, 0, 0))), 'MODULE_INVALID', `a tail of section ${id}`);
  }
  const cases: Record<string, Uint8Array> = {
    'params of a type': module(section(1, 1, 0x60, most)),
    'results of a type': module(section(1, 1, 0x60, 0, most)),
    'bytes of a name': module(section(7, 1, most)),
    'bytes of the name of a custom section': module(section(0, most)),
    'bytes of a body': module(emptyType, section(3, 1, 0), section(10, 1, most)),
    'groups of locals': withBody(most),
    'locals of a group': withBody(1, most, 0x7f, 0x0b),
    'locals in all': withBody(2, most, 0x7f, most, 0x7f, 0x0b),
    'targets of a branch': withBody(0, 0x41, 0, 0x0e, most),
    'types of a choice': withBody(0, 0x1c, most),
    'elements of a segment': module(section(4, 1, 0x70, 0, 1), section(9, 1, 0, 0x41, 0, 0x0b, most)),
    'bytes of a data segment': module(section(5, 1, 0, 1), section(11, 1, 0, 0x41, 0, 0x0b, most)),
    'bodies of functions': module(emptyType, section(3, 2, 0, 0), section(10, 1, 2, 0, 0x0b)),
    'functions without bodies': module(emptyType, section(3, 1, 0)),
  };
  for (const [what, bytes] of Object.entries(cases)) assert.equal(stopOf(bytes), 'MODULE_INVALID', what);
});

test('structures that are deep or large', () => {
  const deep = 1_100_000;
  const blocks = bytesOf(times(deep, 0x02, 0x40), times(deep, 0x0b));
  assert.equal(stopOf(withBody(0, blocks, 0x0b)), 'MODULE_INVALID', 'blocks within blocks');
  assert.equal(stopOf(withBody(0, times(1_100_000, 0x41, 0), 0x00, 0x0b)), 'MODULE_INVALID', 'a stack of a million');
  assert.equal(stopOf(withBody(0, times(8_000_000, 0x01), 0x0b)), 'MODULE_INVALID', 'a body above 7.6 MB');
  assert.equal(stopOf(new Uint8Array(257 * 2 ** 20)), 'MODULE_TOO_LARGE');
  const customs = bytesOf(header, times(20_000, 0, 2, 1, 0x78));
  assert.equal(stopOf(customs), 'MODULE_INVALID', '20,000 custom sections');
  // So many meters that the function is larger than any engine takes.
  assert.equal(stopOf(withBody(0, times(1_500_000, 0x03, 0x40, 0x01, 0x0b), 0x0b)), 'MODULE_TOO_LARGE');
});

test('bombs of memory and tables', () => {
  const cases: [string, Uint8Array, string][] = [
    ['a memory of 4 GiB', module(section(5, 1, 0, [0x80, 0x80, 4])), 'MEMORY_LIMIT'],
    ['a memory above 4 GiB', module(section(5, 1, 0, [0x81, 0x80, 4])), 'MODULE_INVALID'],
    ['a table of 2^32 - 1', module(section(4, 1, 0x70, 0, most)), 'TABLE_LIMIT'],
    ['many tables', module(section(4, 99, times(99, 0x70, 0, 100))), 'TABLE_LIMIT'],
    ['more tables than may be', module(section(4, [0xe8, 0x07], times(1_000, 0x70, 0, 0))), 'MODULE_INVALID'],
    ['a shared memory', module(section(5, 1, 3, 1, 2)), 'MODULE_UNSUPPORTED'],
    ['a 64-bit memory', module(section(5, 1, 4, 1)), 'MODULE_UNSUPPORTED'],
    ['two memories', module(section(5, 2, 0, 1, 0, 1)), 'MODULE_UNSUPPORTED'],
  ];
  for (const [what, bytes, code] of cases) assert.equal(stopOf(bytes), code, what);
});

test('names that mean something in JavaScript are only names', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'then', ''];
  const named = (name: string, kind: number): Uint8Array => bytesOf(new Writer().text(name).done(), kind, 0);
  const bytes = module(
    emptyType,
    section(2, names.length, ...names.map((name) => bytesOf(new Writer().text(name).text(name).done(), 0, 0))),
    section(7, names.length, ...names.map((name) => named(name, 0))),
  );
  const shape = shapeOf(readModule(bytes));
  assert.deepEqual(
    shape.exports.map(({ name }) => name),
    names,
  );
  assert.deepEqual(
    shape.imports.map(({ module: from, name }) => [from, name]),
    names.map((name) => [name, name]),
  );
  assert.equal(stopOf(bytes), 'nothing');
  const twice = module(
    emptyType,
    section(2, 1, 1, 0x61, 1, 0x62, 0, 0),
    section(7, 2, named('__proto__', 0), named('__proto__', 0)),
  );
  assert.equal(stopOf(twice), 'MODULE_INVALID');
  for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]])
    assert.equal(stopOf(module(section(0, bad.length, bad))), 'MODULE_INVALID', 'not UTF-8');
  // Lines and escapes of a terminal in a name reach no message: `stopOf` looks.
  const evil = module(
    emptyType,
    section(2, 1, 1, 0x61, 1, 0x62, 0, 0),
    section(7, 2, named('a\n\u001b[31m', 0), named('a\n\u001b[31m', 0)),
  );
  assert.equal(stopOf(evil), 'MODULE_INVALID');
});

/** The module with a start function. */
function startedBy(bytes: Uint8Array, index: number): Uint8Array {
  const cursor = new Cursor(bytes, 8);
  for (;;) {
    const at = cursor.position;
    const id = cursor.u8();
    if (id === 9) return bytesOf(bytes.subarray(0, at), section(8, index), bytes.subarray(at));
    cursor.skip(cursor.u32());
  }
}

test('start functions run under the limits of the call', async () => {
  const starts: [what: string, body: string, code: string][] = [
    ['spins', '(loop $l (br $l))', 'OUT_OF_FUEL'],
    ['recurses', '(call $start)', 'CALL_DEPTH_EXCEEDED'],
    ['recurses through the table', '(call_indirect $small (type $t) (i32.const 2))', 'CALL_DEPTH_EXCEEDED'],
    ['recurses by tail calls', '(return_call $start)', 'OUT_OF_FUEL'],
    [
      'takes memory',
      '(loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))) (unreachable)',
      'MEMORY_LIMIT',
    ],
    [
      'takes tables',
      '(drop (table.grow $big (ref.null func) (i32.const 900))) (drop (table.grow $big (ref.null func) (i32.const 900))) (unreachable)',
      'TABLE_LIMIT',
    ],
    [
      'asks for 2^32 - 1 elements',
      '(loop $l (drop (table.grow $big (ref.null func) (i32.const -1))) (br $l))',
      'OUT_OF_FUEL',
    ],
    [
      'copies without end',
      '(loop $l (memory.copy (i32.const 0) (i32.const 1) (i32.const 65000)) (br $l))',
      'OUT_OF_FUEL',
    ],
    ['reads what is not there', '(drop (i32.load (i32.const -4)))', 'WASM_TRAP'],
  ];
  const functions = starts.map(([, body], index) => `(func $s${index} ${body.replaceAll('$start', `$s${index}`)})`);
  const bytes = assemble(`(module (type $t (func)) (memory 1) (table $small 9 funcref) (table $big 0 funcref)
    ${functions.join(' ')} (elem (table $small) (offset (i32.const 0)) func ${starts.map((_, index) => `$s${index}`).join(' ')})
    (func (export "run")))`);
  for (const [index, [what, , code]] of starts.entries()) {
    const metered = meter(startedBy(bytes, index), policy);
    const guest = { key: what, module: new WebAssembly.Module(new Uint8Array(metered.bytes)), shape: metered.shape };
    const order = { ...orderOf(guest, 'run', [], { fuel: 20_000_000n }), policy };
    await assert.rejects(sandbox.call(order), { code }, what);
  }
  // Of a type that may not start a module: refused, though it is called by another name now.
  const typed = module(section(1, 1, 0x60, 1, 0x7f, 0), section(3, 1, 0), section(8, 0), section(10, 1, 2, 0, 0x0b));
  assert.equal(stopOf(typed), 'the engine');
});
