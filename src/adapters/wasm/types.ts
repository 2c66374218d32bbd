/** The value types that a module's functions may have here. */
export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | 'funcref' | 'externref';

export interface FunctionType {
  params: ValueType[];
  results: ValueType[];
}

/** A memory in pages of 64 KiB, a table in elements. */
export interface Limits {
  min: number;
  max?: number;
}

export type ExternKind = 'func' | 'table' | 'memory' | 'global' | 'tag';

export interface ModuleImport {
  module: string;
  name: string;
  kind: ExternKind;
  /** Of a function. */
  type?: FunctionType;
}

export interface ModuleExport {
  name: string;
  kind: ExternKind;
  /** Of a function. */
  type?: FunctionType;
  /** Of a function: names of its params, as far as the name section has them. */
  paramNames?: (string | undefined)[];
}

/** What can be said of a module without running it: plain data that may cross threads. */
export interface ModuleShape {
  imports: ModuleImport[];
  exports: ModuleExport[];
  /** Own and imported ones. */
  memories: Limits[];
  tables: Limits[];
  hasStart: boolean;
  /** Instructions of floating point occur, so that NaNs could differ between machines. */
  hasFloats: boolean;
  hasSimd: boolean;
  /** Language, tool and SDK lines of the `producers` section: hints, not facts. */
  producers: { field: string; name: string; version: string }[];
  /** Names of custom sections, in order. */
  customSections: string[];
  functionCount: number;
}

/** What bounds a module wherever it runs. Part of the key under which its compiled form is kept. */
export interface Policy {
  /** Pages of 64 KiB that the memory may grow to. */
  memoryPagesMax: number;
  /** Elements that all tables may have together: what they don't begin with is shared out equally, as room to grow. */
  tableElementsMax: number;
  /** Weight of the calls that may be open at once; a call weighs 1 and more with many locals. */
  callDepthMax: number;
  /** Whether results of floating point that are NaN get one bit pattern on every machine. */
  canonicalNaN: boolean;
}

/** How arguments and results cross the border of a module. */
export type Abi =
  | 'numeric'
  | 'cstring'
  | 'buffer'
  | 'assemblyscript'
  | 'wasi-command'
  | 'wasi-reactor'
  | 'extism'
  | 'wasm-bindgen';

/** What the sandbox's host functions may touch of the instance that called them. */
export interface Guest {
  /** A view of the memory as it is now; asked again after anything that may have grown it. */
  bytes(): Uint8Array;
  /**
   * Takes fuel for work that the host does.
   * @throws the error that ends the call, where there is not enough
   */
  charge(fuel: number): void;
  /** Used so far by the call. */
  fuelUsed(): bigint;
  /** Bytes that the memory may grow to. */
  bytesMax(): number;
  /**
   * Grows the memory as the module's own `memory.grow` would, at the same price.
   * @returns whether it could
   * @throws the error that ends the call, where there is not enough fuel
   */
  grow(pages: number): boolean;
}

/** What the host functions of a call are given. */
export interface HostSettings {
  /** Hexadecimal: all randomness follows from it. */
  seed: string;
  /** What the clock shows as the call begins, in ms since 1970. */
  timeMs: number;
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Standard input; for a stream, a source that fills what it is given, and gives fewer bytes than that only at the end. */
  stdin: Uint8Array | ByteSource;
  /** Where standard output goes as it is written. Default: it is kept, for `Host.stdout`. */
  stdout?: (bytes: Uint8Array) => void;
  /** The input of an Extism plug-in. */
  input: Uint8Array;
  /** Configuration of an Extism plug-in. */
  config: Readonly<Record<string, string>>;
  /** Most bytes that standard output, or the output of a plug-in, may have. More is RESULT_TOO_LARGE. */
  outputBytesMax: number;
}

/** Fills `into` from its start. @returns the bytes given; fewer than `into` holds only at the end */
export type ByteSource = (into: Uint8Array) => number;

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  text: string;
}

/** The host's side of one instance: `resolveImports(shape, settings, guest)` in `host/imports.ts` makes it. */
export interface Host {
  imports: WebAssembly.Imports;
  /** A copy of standard output so far. */
  stdout(): Uint8Array<ArrayBuffer>;
  /** The end of standard error, bounded. */
  stderr(): string;
  /** The first lines that the module logged, bounded. */
  logs(): LogLine[];
  /** What an Extism plug-in set as its output, a copy, and as its error. */
  output(): Uint8Array<ArrayBuffer>;
  pluginError(): string | undefined;
  /** The text that a module of wasm-bindgen holds by that index. */
  objectText(index: number): string | undefined;
}

/** Thrown by host functions to end a call: the exit code of `proc_exit`. Anything else that ends a call is a StepError. */
export class GuestExit {
  readonly code: number;
  constructor(code: number) {
    this.code = code;
  }
}
