import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CallOrder, CallPlan, SandboxModule } from '../../../src/adapters/wasm/sandbox/order.ts';
import type { FunctionType, ModuleShape, ValueType } from '../../../src/adapters/wasm/types.ts';

const assembler = fileURLToPath(new URL('../../../node_modules/.bin/wasm-as', import.meta.url));

/** A module from its text, as a thread takes it: not through the rewriter, so that the sandbox is tested by itself. */
export function assemble(
  key: string,
  text: string,
  types: Record<string, string>,
  imports: Record<string, string> = {},
): SandboxModule {
  const folder = mkdtempSync(join(tmpdir(), 'jsonflow-wat-'));
  try {
    writeFileSync(join(folder, 'in.wat'), text);
    const { status, stderr } = spawnSync(
      process.execPath,
      [assembler, '--all-features', '-g', join(folder, 'in.wat'), '-o', join(folder, 'out.wasm')],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`wasm-as: ${stderr}`);
    return {
      key,
      module: new WebAssembly.Module(readFileSync(join(folder, 'out.wasm'))),
      shape: shapeOf(types, imports),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function shapeOf(types: Record<string, string>, imports: Record<string, string>): ModuleShape {
  return {
    imports: Object.entries(imports).map(([name, type]) => {
      const [module = '', field = ''] = name.split('/');
      return { module, name: field, kind: 'func', type: typeOf(type) };
    }),
    exports: Object.entries(types).map(([name, type]) => ({ name, kind: 'func', type: typeOf(type) })),
    memories: [],
    tables: [],
    hasStart: false,
    hasFloats: false,
    hasSimd: false,
    producers: [],
    customSections: [],
    functionCount: Object.keys(types).length,
  };
}

/** Such as `i32 i32 -> i64`. */
function typeOf(text: string): FunctionType {
  const [params = [], results = []] = text
    .split('->')
    .map((part) => part.trim().split(' ').filter(Boolean) as ValueType[]);
  return { params, results };
}

/** One module for most tests: it carries the rewriter's exports, and uses them as its code would. */
export const sampler = (): SandboxModule =>
  assemble(
    'sampler',
    `(module $sampler
      (memory (export "memory") 2)
      (global $fuel (export "jsonflow:fuel") (mut i64) (i64.const 0))
      (global $depth (export "jsonflow:depth") (mut i32) (i32.const 0))
      (global $stop (export "jsonflow:stop") (mut i32) (i32.const 0))
      (global $state (mut i32) (i32.const 0))
      (table 2 funcref)
      (type $nothing (func))
      (func $pay (param i64)
        (if (i64.lt_u (global.get $fuel) (local.get 0))
          (then (global.set $fuel (i64.const 0)) (global.set $stop (i32.const 1)) unreachable))
        (global.set $fuel (i64.sub (global.get $fuel) (local.get 0))))
      (func $add (export "add") (param i32 i32) (result i32)
        (call $pay (i64.const 3)) (i32.add (local.get 0) (local.get 1)))
      (func $count (export "count") (result i32)
        (call $pay (i64.const 2)) (global.set $state (i32.add (global.get $state) (i32.const 1))) (global.get $state))
      (func $burn (export "burn") (loop $l (call $pay (i64.const 1)) (br $l)))
      (func $spin (export "spin") (loop $l (br $l)))
      (func $die (export "die") (unreachable))
      (func $outer (export "outer") (call $die))
      (func $divide (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
      (func $remainder (export "remainder") (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1)))
      (func $truncate (export "truncate") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
      (func $peek (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
      (func $indirect (export "indirect") (param i32) (call_indirect (type $nothing) (local.get 0)))
      (func $grab (export "grab")
        (global.set $stop (i32.or (global.get $stop) (i32.const 256))) (unreachable))
      (func $grabTable (export "grabTable")
        (global.set $stop (i32.or (global.get $stop) (i32.const 512))) (unreachable))
      (func $deep (export "deep") (param i32) (result i32)
        (if (i32.le_s (global.get $depth) (i32.const 0)) (then (global.set $stop (i32.const 2)) unreachable))
        (global.set $depth (i32.sub (global.get $depth) (i32.const 1)))
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
          (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1))))))
        (global.set $depth (i32.add (global.get $depth) (i32.const 1))))
      (func $bottomless (export "bottomless") (param i32) (result i32)
        (i32.add (i32.const 1) (call $bottomless (i32.add (local.get 0) (i32.const 1)))))
      (func $alloc (export "alloc") (param i32) (result i32)
        (call $pay (i64.const 1))
        (if (i32.gt_u (local.get 0) (i32.const 100000)) (then (return (i32.const 0))))
        (i32.const 1024))
      (func $process (export "process") (param i32 i32) (result i64)
        (call $pay (i64.extend_i32_u (i32.add (local.get 1) (i32.const 1))))
        (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))
      (func $wild (export "wild") (param i32 i32) (result i64) (i64.const -1)))`,
    {
      add: 'i32 i32 -> i32',
      count: '-> i32',
      burn: '->',
      spin: '->',
      die: '->',
      outer: '->',
      divide: 'i32 i32 -> i32',
      remainder: 'i32 i32 -> i32',
      truncate: 'f64 -> i32',
      peek: 'i32 -> i32',
      indirect: 'i32 ->',
      grab: '->',
      grabTable: '->',
      deep: 'i32 -> i32',
      bottomless: 'i32 -> i32',
      alloc: 'i32 -> i32',
      process: 'i32 i32 -> i64',
      wild: 'i32 i32 -> i64',
    },
  );

type Overrides = Partial<Omit<CallOrder, 'plan' | 'settings'>> & {
  plan?: Partial<CallPlan>;
  settings?: Partial<CallOrder['settings']>;
};

/** A call with settings that most tests don't care about. */
export function orderOf(module: SandboxModule, name: string, args: unknown[], more: Overrides = {}): CallOrder {
  return {
    module,
    policy: { memoryPagesMax: 256, tableElementsMax: 10_000, callDepthMax: 10_000, canonicalNaN: false },
    fuel: 1_000_000n,
    input: { kind: 'args', args: args as [] },
    ...more,
    plan: { abi: 'numeric', function: name, ...more.plan },
    settings: { seed: '00', timeMs: 0, outputBytesMax: 1 << 24, ...more.settings },
  };
}

/** A program that copies its standard input to its standard output, in reads of 64 KiB, and ends with the exit code of its input's first byte if that is "x". */
export const copier = (): SandboxModule =>
  assemble(
    'copier',
    `(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 3)
      (global (export "jsonflow:fuel") (mut i64) (i64.const 0))
      (global (export "jsonflow:depth") (mut i32) (i32.const 0))
      (global (export "jsonflow:stop") (mut i32) (i32.const 0))
      (func (export "_start") (local $n i32) (local $at i32)
        (loop $more
          (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 65536))
          (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
          (local.set $n (i32.load (i32.const 8)))
          (if (i32.eqz (local.get $n)) (then (return)))
          (if (i32.eq (i32.load8_u (i32.const 65536)) (i32.const 120)) (then (call $exit (i32.const 7))))
          (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (local.get $n))
          (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
          (br $more))))`,
    { _start: '->' },
    {
      'wasi_snapshot_preview1/fd_read': 'i32 i32 i32 i32 -> i32',
      'wasi_snapshot_preview1/fd_write': 'i32 i32 i32 i32 -> i32',
      'wasi_snapshot_preview1/proc_exit': 'i32 ->',
    },
  );
