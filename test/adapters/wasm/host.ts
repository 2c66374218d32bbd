import { Buffer } from 'node:buffer';
import { resolveImports } from '../../../src/adapters/wasm/host/imports.ts';
import type {
  FunctionType,
  Guest,
  Host,
  HostSettings,
  ModuleImport,
  ModuleShape,
  ValueType,
} from '../../../src/adapters/wasm/types.ts';
import { GuestExit } from '../../../src/adapters/wasm/types.ts';

export const defaults: HostSettings = {
  seed: '00ff',
  timeMs: 1_700_000_000_000,
  argv: ['program'],
  env: {},
  stdin: new Uint8Array(0),
  input: new Uint8Array(0),
  config: {},
  outputBytesMax: 1_000_000,
};

export function shapeOf(imports: ModuleImport[]): ModuleShape {
  return {
    imports,
    exports: [],
    memories: [],
    tables: [],
    hasStart: false,
    hasFloats: false,
    hasSimd: false,
    producers: [],
    customSections: [],
    functionCount: 0,
  };
}

/** Without a meter there is no fuel but what the host itself charges. */
export class TestGuest implements Guest {
  memory: WebAssembly.Memory | undefined;
  used = 0n;
  fuelMax = 2n ** 62n;
  bytes(): Uint8Array {
    return new Uint8Array(this.memory?.buffer ?? new ArrayBuffer(0));
  }
  charge(fuel: number): void {
    if (!Number.isSafeInteger(fuel) || fuel < 0) throw new Error(`charged ${fuel}`);
    this.used += BigInt(fuel);
    if (this.used > this.fuelMax) throw new Error('out of fuel');
  }
  fuelUsed(): bigint {
    return this.used;
  }
  bytesMax(): number {
    return 65_536;
  }
  grow(): boolean {
    return false;
  }
}

const letters: Record<string, ValueType> = { i: 'i32', j: 'i64', f: 'f32', d: 'f64' };
const codes: Record<ValueType, number> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
};

/** `iij:i` as a type. */
export function typeOf(text: string): FunctionType {
  const [params = '', results = ''] = text.split(':');
  const list = (part: string): ValueType[] => [...part].map((letter) => letters[letter] ?? 'i32');
  return { params: list(params), results: list(results) };
}

const leb = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)]);
const vector = (items: number[][]): number[] => [...leb(items.length), ...items.flat()];
const section = (id: number, body: number[]): number[] => [id, ...leb(body.length), ...body];
const name = (text: string): number[] => [...leb(Buffer.byteLength(text)), ...Buffer.from(text)];

/** A module that exports a memory of one page, and again what it imports, as `module.name`. */
export function relay(imports: { module: string; name: string; type: string }[]): Uint8Array<ArrayBuffer> {
  const types = imports.map(({ type }) => {
    const { params, results } = typeOf(type);
    return [0x60, ...vector(params.map((one) => [codes[one]])), ...vector(results.map((one) => [codes[one]]))];
  });
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector(imports.map((item, index) => [...name(item.module), ...name(item.name), 0, ...leb(index)]))),
    ...section(5, vector([[0, 1]])),
    ...section(
      7,
      vector([
        [...name('memory'), 2, 0],
        ...imports.map((item, index) => [...name(`${item.module}.${item.name}`), 0, ...leb(index)]),
      ]),
    ),
  ]);
}

export interface Live {
  host: Host;
  guest: TestGuest;
  memory: Buffer;
  call(name: string, ...args: (number | bigint)[]): number | bigint | undefined;
}

/** Host functions, called from a real instance, so that every value crosses its border. @param functions as in `fd_write iiii:i` */
export function live(module: string, functions: readonly string[], settings: Partial<HostSettings> = {}): Live {
  const imports = functions.map((text) => {
    const [own = '', type = ''] = text.split(' ');
    return { module, name: own, type };
  });
  const guest = new TestGuest();
  const shape = shapeOf(imports.map((item) => ({ ...item, kind: 'func', type: typeOf(item.type) })));
  const host = resolveImports(shape, { ...defaults, ...settings }, guest);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(relay(imports)), host.imports);
  guest.memory = exports.memory as WebAssembly.Memory;
  return {
    host,
    guest,
    memory: Buffer.from(guest.memory.buffer),
    call: (own, ...args) =>
      (exports[`${module}.${own}`] as (...all: (number | bigint)[]) => number | bigint | undefined)(...args),
  };
}

/** A module's function imports with their types, read without the product's parser. */
export function importsOf(bytes: Uint8Array): ModuleImport[] {
  let at = 8;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
  };
  const text = (): string => {
    const length = number();
    at += length;
    return Buffer.from(bytes.subarray(at - length, at)).toString();
  };
  const valueType = (): ValueType => {
    const code = bytes[at++];
    return (Object.entries(codes).find(([, own]) => own === code)?.[0] ?? 'i32') as ValueType;
  };
  const list = <T>(read: () => T): T[] => Array.from({ length: number() }, read);
  let types: FunctionType[] = [];
  let imports: ModuleImport[] = [];
  while (at < bytes.length) {
    const id = bytes[at++];
    const size = number();
    const end = at + size;
    if (id === 1)
      types = list(() => {
        at += 1;
        return { params: list(valueType), results: list(valueType) };
      });
    if (id === 2)
      imports = list(() => {
        const item = { module: text(), name: text() };
        at += 1;
        return { ...item, kind: 'func', type: types[number()] as FunctionType };
      });
    at = end;
  }
  return imports;
}

export interface Ran {
  exitCode: number;
  host: Host;
  guest: TestGuest;
  instance: WebAssembly.Instance;
}

/** Runs a command of WASI, or only instantiates a module, through the host with nothing between. */
export function runProgram(bytes: Uint8Array<ArrayBuffer>, settings: Partial<HostSettings> = {}): Ran {
  const guest = new TestGuest();
  const host = resolveImports(shapeOf(importsOf(bytes)), { ...defaults, ...settings }, guest);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), host.imports);
  guest.memory = instance.exports.memory as WebAssembly.Memory;
  const start = instance.exports._start as (() => void) | undefined;
  try {
    start?.();
  } catch (error) {
    if (!(error instanceof GuestExit)) throw error;
    return { exitCode: error.code, host, guest, instance };
  }
  return { exitCode: 0, host, guest, instance };
}
