import { StepError } from '../../../lib/errors.ts';
import type { Machine } from '../abi/machine.ts';
import type { WasmNumber } from '../abi/numbers.ts';
import { fuelPerPage, stops } from '../meter/stops.ts';
import type { Guest, Host, HostSettings, ModuleShape, Policy } from '../types.ts';
import { outOfFuel, type Remains } from './failure.ts';
import type { RunFacts } from './order.ts';

/** Makes the host's side of an instance: `resolveImports` of `host/imports.ts`. */
type ResolveImports = (shape: ModuleShape, settings: HostSettings, guest: Guest) => Host;

export interface InstanceParts {
  module: WebAssembly.Module;
  shape: ModuleShape;
  policy: Policy;
  settings: HostSettings;
  fuel: bigint;
  resolveImports: ResolveImports;
}

const noBytes = new Uint8Array(0);
const pageBytes = 65_536;

/** A live module with its meters: made for one call or one stream, never used again after. */
export class Instance implements Machine {
  readonly shape: ModuleShape;
  readonly host: Host;
  readonly #exports: WebAssembly.Exports;
  readonly #memory: WebAssembly.Memory | undefined;
  readonly #fuel: WebAssembly.Global | undefined;
  readonly #stop: WebAssembly.Global | undefined;
  #bytes: Uint8Array = noBytes;
  /** Of the allowances before this one. */
  #used = 0n;
  #allowance: bigint;
  #total: bigint;
  readonly #pagesMax: number;

  constructor({ module, shape, policy, settings, fuel, resolveImports }: InstanceParts) {
    this.shape = shape;
    this.#total = fuel;
    this.#pagesMax = Math.min(policy.memoryPagesMax, shape.memories[0]?.max ?? Number.POSITIVE_INFINITY);
    this.#allowance = fuel;
    this.host = resolveImports(shape, settings, {
      bytes: () => this.bytes(),
      charge: (units) => this.#charge(units),
      fuelUsed: () => this.fuelUsed,
      bytesMax: () => this.#pagesMax * pageBytes,
      grow: (pages) => this.#grow(pages),
    });
    const instance = new WebAssembly.Instance(module, onlyNamed(module, this.host.imports));
    this.#exports = instance.exports;
    const memory = this.#exports['jsonflow:memory'] ?? this.#exports.memory;
    if (memory instanceof WebAssembly.Memory) this.#memory = memory;
    this.#fuel = meter(this.#exports, 'jsonflow:fuel');
    this.#stop = meter(this.#exports, 'jsonflow:stop');
    if (this.#fuel !== undefined) this.#fuel.value = fuel;
    const depth = meter(this.#exports, 'jsonflow:depth');
    if (depth !== undefined) depth.value = policy.callDepthMax;
  }

  /** What runs before anything may be called. Under fuel, unlike what the engine would run by itself. */
  begin(): void {
    if ('jsonflow:start' in this.#exports) this.invoke('jsonflow:start', []);
  }

  bytes(): Uint8Array {
    if (this.#memory === undefined) return noBytes;
    // A memory that has grown has another buffer, and the old one none of its bytes.
    if (this.#bytes.buffer !== this.#memory.buffer) this.#bytes = new Uint8Array(this.#memory.buffer);
    return this.#bytes;
  }

  invoke(name: string, args: readonly WasmNumber[]): ReturnType<Machine['invoke']> {
    const target = this.#exports[name];
    if (typeof target !== 'function')
      throw new StepError('FUNCTION_NOT_FOUND', `there is no function ${JSON.stringify(name.slice(0, 100))}`);
    return (target as (...values: WasmNumber[]) => ReturnType<Machine['invoke']>)(...args);
  }

  global(name: string): WasmNumber | undefined {
    const global = this.#exports[name];
    return global instanceof WebAssembly.Global ? (global.value as WasmNumber) : undefined;
  }

  objectText(index: number): string | undefined {
    return this.host.objectText(index);
  }

  /** Starts anew with what the next item may use; what is left of the whole bounds it. */
  allow(fuel: bigint): void {
    this.#used += this.#allowance - this.#left;
    const left = this.#total - this.#used;
    this.#allowance = fuel < left ? fuel : left;
    if (this.#fuel !== undefined) this.#fuel.value = this.#allowance;
  }

  get fuelUsed(): bigint {
    return this.#used + this.#allowance - this.#left;
  }

  get remains(): Remains {
    return { stop: Number(this.#stop?.value ?? 0), stderr: this.host.stderr() };
  }

  facts(): RunFacts {
    return {
      fuelUsed: this.fuelUsed,
      memoryBytes: this.#memory?.buffer.byteLength ?? 0,
      stderr: this.host.stderr(),
      logs: this.host.logs(),
    };
  }

  get #left(): bigint {
    return this.#fuel === undefined ? this.#allowance : BigInt.asUintN(64, this.#fuel.value as bigint);
  }

  #grow(pages: number): boolean {
    this.#charge(pages * fuelPerPage);
    try {
      if (this.bytes().length / pageBytes + pages <= this.#pagesMax) {
        this.#memory?.grow(pages);
        return this.#memory !== undefined;
      }
    } catch (thrown) {
      // The machine has no room for it.
      if (!(thrown instanceof RangeError)) throw thrown;
    }
    this.#raise(stops.memory);
    return false;
  }

  #raise(bit: number): void {
    if (this.#stop !== undefined) this.#stop.value = Number(this.#stop.value) | bit;
  }

  #charge(units: number): void {
    if (this.#fuel === undefined) return;
    const left = this.#left - BigInt(Math.ceil(units));
    this.#fuel.value = left < 0n ? 0n : left;
    if (left >= 0n) return;
    this.#raise(stops.fuel);
    const { code, message } = outOfFuel();
    throw new StepError(code, message);
  }
}

function meter(exports: WebAssembly.Exports, name: string): WebAssembly.Global | undefined {
  const global = exports[name];
  return global instanceof WebAssembly.Global ? global : undefined;
}

/**
 * The imports that the module names and the host has of its own, on objects without prototypes. A module picks its names: "constructor" or
 * "__proto__" must not lead to anything.
 */
function onlyNamed(module: WebAssembly.Module, given: WebAssembly.Imports): WebAssembly.Imports {
  const imports: WebAssembly.Imports = Object.create(null);
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    const group = Object.hasOwn(given, from) ? given[from] : undefined;
    const value = group !== undefined && Object.hasOwn(group, name) ? group[name] : undefined;
    if (value === undefined)
      throw new StepError(
        'IMPORT_UNSUPPORTED',
        `the module imports ${JSON.stringify(`${from}.${name}`.slice(0, 200))}, which is not provided`,
      );
    if (!Object.hasOwn(imports, from)) define(imports, from, Object.create(null));
    define(imports[from] as WebAssembly.ModuleImports, name, value);
  }
  return imports;
}

const define = (target: object, name: string, value: unknown): void =>
  void Object.defineProperty(target, name, { value, enumerable: true });
