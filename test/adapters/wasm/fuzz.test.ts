import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Cursor } from '../../../src/adapters/wasm/binary/cursor.ts';
import { immediate, instructions, MISC, SIMD } from '../../../src/adapters/wasm/binary/instructions.ts';
import { readModule, sectionIds } from '../../../src/adapters/wasm/binary/read-module.ts';
import { meter } from '../../../src/adapters/wasm/meter/meter.ts';
import { Writer } from '../../../src/adapters/wasm/meter/writer.ts';
import type { Policy } from '../../../src/adapters/wasm/types.ts';
import { StepError } from '../../../src/lib/errors.ts';
import { invented } from '../../support/wat.ts';

const long = process.env.JSONFLOW_LONG === '1';
const moduleCount = long ? Number(process.env.JSONFLOW_MODULES ?? 100) : 4;
const fuel = 50_000_000n;
const policy: Policy = {
  memoryPagesMax: 65_536,
  tableElementsMax: 1_000_000,
  callDepthMax: 4_000,
  canonicalNaN: false,
};

/** Random bytes that are the same for the same seed. */
function randomBytes(seed: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 32)
    bytes.set(
      createHash('sha256')
        .update(`${seed}/${at}`)
        .digest()
        .subarray(0, length - at),
      at,
    );
  return bytes;
}

type Value = number | bigint | null;

/** Arguments of every kind that a function may take: numbers are turned into what it wants. */
function argumentsOf(seed: string, count: number): Value[] {
  const random = new DataView(randomBytes(seed, count * 8 + 8).buffer);
  const odd = [0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, -0, 2 ** 31, -(2 ** 31), 1e300, 5e-324];
  return Array.from({ length: count }, (_, index) => {
    const pick = random.getUint8(index * 8) % 4;
    if (pick < 2) return random.getInt32(index * 8 + 1) >> (random.getUint8(index * 8 + 6) % 32);
    return pick === 2 ? (odd[random.getUint8(index * 8 + 1) % odd.length] ?? 0) : random.getFloat64(index * 8);
  });
}

/** What a call gave, as text that tells the bits apart. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(shown).join(' ')}]`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  return value === null || ['bigint', 'undefined', 'boolean'].includes(typeof value) ? String(value) : typeof value;
}

interface Seen {
  /** Results, traps and what was logged, in order. */
  events: string[];
  memory: string;
  fuelUsed: bigint[];
  /** Whether a limit of the meters, or of the machine's stack, ended a call: from there on both may differ. */
  cut: boolean;
}

function importsOf(module: WebAssembly.Module, events: string[]): WebAssembly.Imports {
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const group = imports[from] ?? {};
    imports[from] = group;
    if (kind === 'global') group[name] = 'given' as unknown as WebAssembly.ImportValue;
    else if (kind === 'tag')
      group[name] = new (WebAssembly as unknown as { Tag: new (of: object) => WebAssembly.ImportValue }).Tag({
        parameters: [],
      });
    else group[name] = (...args: unknown[]) => void events.push(`${name}(${args.map(shown).join(' ')})`);
  }
  return imports;
}

const shownFailure = (thrown: unknown): string =>
  thrown instanceof WebAssembly.RuntimeError ? `trap: ${thrown.message}` : String(thrown);

/** Whether a function may not be called from here, since it takes or gives a vector. */
const notCallable = (thrown: unknown): boolean => thrown instanceof TypeError;

/** Calls every export, in order, on one instance. */
function runAll(bytes: Uint8Array, seed: string, rounds: number): Seen {
  const module = new WebAssembly.Module(bytes);
  const seen: Seen = { events: [], memory: '', fuelUsed: [], cut: false };
  let exports: WebAssembly.Exports;
  try {
    ({ exports } = new WebAssembly.Instance(module, importsOf(module, seen.events)));
  } catch (thrown) {
    // The start function of the original failed, or a segment lies outside.
    seen.events.push(shownFailure(thrown));
    seen.cut = thrown instanceof RangeError;
    return seen;
  }
  const meterOf = (name: string) => exports[`jsonflow:${name}`] as WebAssembly.Global | undefined;
  const [left, depth, stop] = [meterOf('fuel'), meterOf('depth'), meterOf('stop')];
  const start = exports['jsonflow:start'];
  if (left !== undefined) left.value = fuel;
  if (depth !== undefined) depth.value = policy.callDepthMax;
  if (typeof start === 'function')
    try {
      start();
    } catch (thrown) {
      seen.events.push(shownFailure(thrown));
      seen.cut = thrown instanceof RangeError || (Number(stop?.value ?? 0) & 3) !== 0;
      return seen;
    }
  for (let round = 0; round < rounds && !seen.cut; round += 1)
    for (const [name, target] of Object.entries(exports)) {
      if (typeof target !== 'function' || name.startsWith('jsonflow:')) continue;
      if (left !== undefined) left.value = fuel;
      if (depth !== undefined) depth.value = policy.callDepthMax;
      const args = argumentsOf(`${seed}/${name}/${round}`, target.length);
      seen.events.push(`${name}: ${outcome(target as (...args: unknown[]) => unknown, args)}`);
      if (left !== undefined) seen.fuelUsed.push(fuel - (left.value as bigint));
      seen.cut = seen.events.at(-1)?.endsWith('stack') === true || (Number(stop?.value ?? 0) & 3) !== 0;
      if (seen.cut) break;
    }
  for (const value of Object.values(exports))
    if (value instanceof WebAssembly.Memory)
      seen.memory = createHash('sha256').update(new Uint8Array(value.buffer)).digest('hex');
  return seen;
}

function outcome(target: (...args: unknown[]) => unknown, args: Value[]): string {
  const whole = args.map((value) => BigInt(typeof value === 'number' && Number.isInteger(value) ? value : 7));
  // A wrong kind of number is refused before anything runs: each is tried as it is, then as a whole one.
  for (let kinds = 0; kinds < 2 ** Math.min(args.length, 6); kinds += 1)
    try {
      return shown(target(...args.map((value, index) => ((kinds >> index) & 1 ? whole[index] : value))));
    } catch (thrown) {
      if (thrown instanceof RangeError) return 'stack';
      if (!notCallable(thrown)) return shownFailure(thrown);
    }
  return 'not callable';
}

/** The module with its memory as an export, so that it can be compared. */
function showingMemory(bytes: Uint8Array): Uint8Array {
  const { sections, memories, exports } = readModule(bytes);
  const span = sections.get(sectionIds.export);
  if (span === undefined || memories.length === 0) return bytes;
  const content = new Writer();
  content.u32(exports.length + 1);
  for (const { name, kind, index } of exports) content.text(name).byte(externKinds.indexOf(kind)).u32(index);
  content.text('its memory').byte(2, 0);
  const out = new Writer();
  const cursor = new Cursor(bytes, 8);
  while (!cursor.done) {
    const at = cursor.position;
    const id = cursor.u8();
    const part = cursor.part(cursor.u32());
    if (id === sectionIds.export) out.byte(id).u32(content.length).raw(content.done());
    else out.raw(bytes, at, part.end);
  }
  return Uint8Array.from([...bytes.subarray(0, 8), ...out.done()]);
}

const externKinds = ['func', 'table', 'memory', 'global', 'tag'];

/** A few of the made-up modules have instructions on typed references, whatever features they are told to have. */
function isInProfile(bytes: Uint8Array): boolean {
  try {
    meter(bytes, policy);
    return true;
  } catch (thrown) {
    if (thrown instanceof StepError && thrown.code === 'MODULE_UNSUPPORTED') return false;
    throw thrown;
  }
}

it('rewritten modules do what the original ones do, and take the same fuel each time', () => {
  let modules = 0;
  let calls = 0;
  let cut = 0;
  let nanSeen = 0;
  let outside = 0;
  for (let number = 0; number < moduleCount; number += 1) {
    const seed = `module ${process.env.JSONFLOW_SEED ?? ''} ${number}`;
    const original = showingMemory(invented(randomBytes(seed, 500 + ((number * 977) % 6_000))));
    if (!WebAssembly.validate(original)) continue;
    if (!isInProfile(original)) {
      outside += 1;
      continue;
    }
    const plain = runAll(original, seed, 3);
    modules += 1;
    for (const canonicalNaN of [false, true]) {
      const { bytes, shape } = meter(original, { ...policy, canonicalNaN });
      assert.ok(WebAssembly.validate(bytes), `${seed}: it stays valid`);
      const seen = runAll(bytes, seed, 3);
      assert.deepEqual(runAll(bytes, seed, 3), seen, `${seed}: the same again`);
      calls += seen.fuelUsed.length;
      if (seen.cut || plain.cut) {
        cut += 1;
        continue;
      }
      const same = isDeepStrictEqual([seen.events, seen.memory], [plain.events, plain.memory]);
      // Bits of a NaN may have got into whole numbers.
      if (canonicalNaN && shape.hasFloats && !same) nanSeen += 1;
      else {
        assert.deepEqual(seen.events, plain.events, seed);
        assert.equal(seen.memory, plain.memory, seed);
      }
    }
  }
  if (long) console.log({ modules, calls, cut, nanSeen, outside });
  assert.ok(
    modules * 2 > cut && calls > 0 && outside * 5 < moduleCount,
    `${modules} modules, ${calls} calls, ${cut} cut`,
  );
});

/** Immediates that fit in most places: zeros, with the lengths that the tables say. */
const sample: Readonly<Record<number, readonly number[]>> = {
  [immediate.none]: [],
  [immediate.block]: [0x40],
  [immediate.index]: [0],
  [immediate.twoIndexes]: [0, 0],
  [immediate.memory]: [0, 0],
  [immediate.memoryLane]: [0, 0, 0],
  [immediate.i32]: [0],
  [immediate.i64]: [0],
  [immediate.bytes4]: [0, 0, 0, 0],
  [immediate.bytes8]: Array.from({ length: 8 }, () => 0),
  [immediate.bytes16]: Array.from({ length: 16 }, () => 0),
  [immediate.lane]: [0],
  [immediate.branchTable]: [0, 0],
  [immediate.types]: [1, 0x7f],
  [immediate.heapType]: [0x70],
  [immediate.memoryIndex]: [0],
  [immediate.twoMemoryIndexes]: [0, 0],
  [immediate.indexAndMemory]: [0, 0],
};

/** A module of everything that an instruction may name, with one function of type () → () with locals. */
function moduleOf(code: readonly number[]): Uint8Array {
  const out = new Writer();
  const section = (id: number, ...content: number[]): void =>
    void out
      .byte(id)
      .u32(content.length)
      .byte(...content);
  section(1, 1, 0x60, 0, 0);
  section(3, 1, 0);
  section(4, 1, 0x70, 0, 4);
  section(5, 1, 0, 1);
  section(6, 1, 0x7f, 1, 0x41, 0, 0x0b);
  section(7, 1, 1, 0x66, 0, 0);
  section(9, 1, 1, 0, 1, 0);
  section(12, 1);
  const body = [1, 1, 0x7f, ...code, 0x0b];
  section(10, 1, body.length, ...body);
  section(11, 1, 1, 0);
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...out.done()]);
}

const plainOpcode = (opcode: number): number[] => {
  if (opcode < MISC) return [opcode];
  const low = opcode & 0xff;
  return [opcode >= SIMD ? 0xfd : 0xfc, ...(low < 0x80 ? [low] : [low | 0x80, 1])];
};

it('every instruction has the immediates, operands and results that V8 reads', () => {
  const wrong: string[] = [];
  let known = 0;
  for (let opcode = 0; opcode < instructions.immediates.length; opcode += 1) {
    if (opcode >= 0xfb && opcode < MISC) continue; // The prefixes themselves.
    const kind = instructions.immediates[opcode] ?? 0;
    const label = `0x${opcode.toString(16)}`;
    const control = opcode <= 0x05 || (opcode >= 0x0b && opcode <= 0x13);
    const bytes = plainOpcode(opcode);
    if (kind === immediate.unknown) {
      const { length } = bytes;
      // Whatever follows, one that V8 knows must not be missing here without being refused.
      assert.throws(() => meter(moduleOf([0x00, ...bytes, 0, 0, 0, 0, 0, 0]), policy), StepError, `${label} ${length}`);
      continue;
    }
    known += 1;
    if (control) continue;
    const pops = instructions.pops[opcode] ?? 0;
    const pushes = instructions.pushes[opcode] ?? 0;
    const code = (extra: readonly number[]): number[] => [0x00, ...bytes, ...(sample[kind] ?? []), ...extra];
    // Behind `unreachable` operands are of any type; the results are dropped into a block without any, so that their number counts.
    const block = (extra: readonly number[], drops: number): Uint8Array =>
      moduleOf([...code(extra), ...Array.from({ length: drops }, () => 0x1a)]);
    if (!WebAssembly.validate(block([], pushes))) wrong.push(`${label} is not valid as the tables have it`);
    // A constant behind it: if an immediate were longer or shorter, this would be read as something else.
    if (!WebAssembly.validate(block([0x41, 0x0b, 0x1a], pushes))) wrong.push(`${label} swallows what follows`);
    const { operands, results } = stackOf(code([]));
    if (operands !== pops || results !== pushes)
      wrong.push(`${label}: ${operands} → ${results}, not ${pops} → ${pushes}`);
    meter(block([], pushes), policy);
  }
  assert.deepEqual(wrong, []);
  assert.ok(known > 400, String(known));
});

/** How many operands an instruction takes and gives, by V8: found by which stacks it accepts. */
function stackOf(code: readonly number[]): { operands: number; results: number } {
  const drops = (count: number): number[] => Array.from({ length: count }, () => 0x1a);
  // In code that can't be reached, a stack of too many values at the end is refused: too few never is.
  let results = 0;
  while (results < 3 && !WebAssembly.validate(moduleOf([...code, ...drops(results)]))) results += 1;
  const kinds = [
    [0x41, 0],
    [0x42, 0],
    [0x43, 0, 0, 0, 0],
    [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
    [0xd0, 0x70],
    [0xfd, 12, ...Array.from({ length: 16 }, () => 0)],
  ];
  const rest = code.slice(1);
  const tryAll = (count: number, before: number[]): boolean =>
    count === 0
      ? WebAssembly.validate(moduleOf([...before, ...rest, ...drops(results)]))
      : kinds.some((kind) => tryAll(count - 1, [...before, ...kind]));
  let operands = 0;
  while (operands < 4 && !tryAll(operands, [])) operands += 1;
  return { operands, results };
}
