import { readModule } from '../../../../src/adapters/wasm/binary/read-module.ts';
import { shapeOf } from '../../../../src/adapters/wasm/binary/shape.ts';
import { meter } from '../../../../src/adapters/wasm/meter/meter.ts';
import type { ModuleShape, Policy } from '../../../../src/adapters/wasm/types.ts';
import { StepError } from '../../../../src/lib/errors.ts';
import type { Action, Command, Script } from './archive.ts';
import { type Bits, bitsOf, bridged, expectedAre } from './bridge.ts';

/** `skipped`: it needs a module that is outside the profile, or was refused by the engine itself. */
export interface Outcome {
  verdict: 'passed' | 'failed' | 'skipped';
  /** What happened, comparable between an original and a rewritten run. */
  seen: string;
  /** Fuel that was used by the command, in all instances. */
  fuel: bigint;
}

interface Live {
  exports: WebAssembly.Exports;
  shape: ModuleShape;
  calls: Map<string, (args: Bits[]) => Bits[]>;
}

/** The module is outside the profile: what depends on it is skipped. */
class Outside extends Error {}

const fuelOfCommand = 1n << 50n;
const stopOf = { none: 0, depth: 2 } as const;

/** Runs one script. Without a policy: as it is, unmetered, to compare with. */
export class World {
  readonly #script: Script;
  readonly #policy: Policy | undefined;
  readonly #named = new Map<string, Live | undefined>();
  readonly #registered = new Map<string, Live | undefined>();
  readonly #definitions = new Map<string, string>();
  readonly #all: Live[] = [];
  #current: Live | undefined;
  /** Names that scripts import of `spectest`. */
  readonly #spectest: WebAssembly.ModuleImports = {
    ...Object.fromEntries(
      ['', '_i32', '_i64', '_f32', '_f64', '_i32_f32', '_f64_f64'].map((name) => [`print${name}`, () => undefined]),
    ),
    global_i32: new WebAssembly.Global({ value: 'i32' }, 666),
    global_i64: new WebAssembly.Global({ value: 'i64' }, 666n),
    global_f32: new WebAssembly.Global({ value: 'f32' }, 666.6),
    global_f64: new WebAssembly.Global({ value: 'f64' }, 666.6),
    table: new WebAssembly.Table({ initial: 10, maximum: 20, element: 'anyfunc' }),
    memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }),
  };

  constructor(script: Script, policy?: Policy) {
    this.#script = script;
    this.#policy = policy;
  }

  run(): Outcome[] {
    return this.#script.commands.map((command) => {
      for (const live of this.#all) this.#refill(live);
      let verdict: Outcome['verdict'] = 'failed';
      let seen: string;
      try {
        [verdict, seen] = this.#command(command);
      } catch (thrown) {
        if (thrown instanceof Outside) verdict = 'skipped';
        seen = `${(thrown as Error).name}: ${(thrown as Error).message}`;
      }
      return { verdict, seen, fuel: this.#used() };
    });
  }

  #command(command: Command): ['passed' | 'failed', string] {
    const { type, action, expected = [] } = command;
    switch (type) {
      case 'module':
      case 'module_instance':
        return this.#module(command);
      case 'module_definition':
        this.#definitions.set(command.name ?? '', command.filename ?? '');
        return ['passed', 'defined'];
      case 'register':
        this.#registered.set(
          command.as ?? '',
          command.name === undefined ? this.#current : this.#named.get(command.name),
        );
        return ['passed', 'registered'];
      case 'action':
      case 'assert_return': {
        const results = this.#act(action, expected[0]?.type);
        const seen = results.map((value) => (typeof value === 'object' ? typeof value : String(value))).join(' ');
        return [
          type === 'action' || expectedAre(expected, results, this.#policy?.canonicalNaN === true)
            ? 'passed'
            : 'failed',
          seen,
        ];
      }
      case 'assert_trap':
        return this.#ends(() => this.#act(action), [WebAssembly.RuntimeError], stopOf.none);
      case 'assert_exhaustion':
        return this.#ends(
          () => this.#act(action),
          this.#policy === undefined ? [RangeError] : [WebAssembly.RuntimeError],
          stopOf.depth,
        );
      case 'assert_invalid':
      case 'assert_malformed':
      case 'assert_malformed_custom':
      case 'assert_invalid_custom':
        return this.#refused(command);
      case 'assert_unlinkable':
        return this.#ends(() => this.#instantiate(command), [WebAssembly.LinkError, TypeError], stopOf.none);
      case 'assert_uninstantiable':
        return this.#ends(() => this.#instantiate(command), [WebAssembly.RuntimeError], stopOf.none);
      default:
        throw new Outside(`no command ${type}`);
    }
  }

  #module(command: Command): ['passed', string] {
    const name = command.name ?? command.instance;
    this.#current = undefined;
    if (name !== undefined) this.#named.set(name, undefined);
    this.#current = this.#instantiate(command);
    if (name !== undefined) this.#named.set(name, this.#current);
    return ['passed', 'instantiated'];
  }

  #bytes({ filename, module }: Command): Uint8Array<ArrayBuffer> {
    const name = filename ?? this.#definitions.get(module ?? '') ?? '';
    const bytes = this.#script.modules.get(name);
    if (bytes === undefined) throw new Error(`there is no module ${name}`);
    return new Uint8Array(bytes);
  }

  #instantiate(command: Command): Live {
    const original = this.#bytes(command);
    const { bytes, shape } = this.#prepared(original);
    const module = new WebAssembly.Module(bytes);
    const imports: WebAssembly.Imports = {};
    for (const { module: from } of WebAssembly.Module.imports(module)) {
      if (this.#registered.has(from)) imports[from] = this.#registeredAs(from);
      else imports[from] = from === 'spectest' ? this.#spectest : {};
    }
    const { exports } = new WebAssembly.Instance(module, imports);
    const live = { exports, shape, calls: new Map() };
    this.#all.push(live);
    this.#refill(live);
    const start = exports['jsonflow:start'];
    if (typeof start === 'function') start();
    return live;
  }

  #prepared(bytes: Uint8Array<ArrayBuffer>): { bytes: Uint8Array<ArrayBuffer>; shape: ModuleShape } {
    try {
      if (this.#policy === undefined) return { bytes, shape: shapeOf(readModule(bytes)) };
      const metered = meter(bytes, this.#policy);
      return { bytes: metered.bytes as Uint8Array<ArrayBuffer>, shape: metered.shape };
    } catch (thrown) {
      if (thrown instanceof StepError && thrown.code === 'MODULE_UNSUPPORTED') throw new Outside(thrown.message);
      throw thrown;
    }
  }

  #registeredAs(name: string): WebAssembly.ModuleImports {
    const live = this.#registered.get(name);
    if (live === undefined) throw new Outside(`${name} is outside`);
    return live.exports as WebAssembly.ModuleImports;
  }

  #live(name: string | undefined): Live {
    const live = name === undefined ? this.#current : this.#named.get(name);
    if (live === undefined) throw new Outside('its module is outside');
    return live;
  }

  #act(action: Action | undefined, expected?: string): Bits[] {
    if (action === undefined) throw new Error('no action');
    const live = this.#live(action.module);
    const { field } = action;
    if (action.type === 'get') return [bitsOfGlobal(live.exports[field] as WebAssembly.Global, expected)];
    const known = live.calls.get(field);
    const target = live.exports[field];
    const type = live.shape.exports.find(({ name }) => name === field)?.type;
    if (target === undefined || type === undefined) throw new Error(`there is no function ${field}`);
    const call = known ?? bridged(target, type);
    live.calls.set(field, call);
    return call((action.args ?? []).flatMap(bitsOf));
  }

  /** It must throw one of these, and the meters must say so. */
  #ends(
    body: () => unknown,
    errors: readonly (new (...args: never[]) => Error)[],
    stop: number,
  ): ['passed' | 'failed', string] {
    try {
      body();
    } catch (thrown) {
      if (thrown instanceof Outside) throw thrown;
      const right = errors.some((kind) => thrown instanceof kind);
      const stops = this.#all.map(({ exports }) => meterOf(exports, 'stop')?.value ?? 0);
      const told = this.#policy === undefined || stop === stopOf.none ? stops.every((is) => !is) : stops.includes(stop);
      const { name, message } = thrown as Error;
      return [right && told ? 'passed' : 'failed', stop === stopOf.none ? `${name}: ${message}` : 'exhausted'];
    }
    return ['failed', 'it went on'];
  }

  /** Malformed and invalid modules: refused by the rewriter, or by the engine after it. */
  #refused(command: Command): ['passed' | 'failed', string] {
    const bytes = this.#bytes(command);
    if (this.#policy === undefined) return [WebAssembly.validate(bytes) ? 'failed' : 'passed', 'refused'];
    try {
      const metered = meter(bytes, this.#policy).bytes as Uint8Array<ArrayBuffer>;
      return [WebAssembly.validate(metered) ? 'failed' : 'passed', 'refused'];
    } catch (thrown) {
      if (thrown instanceof StepError && thrown.code === 'MODULE_UNSUPPORTED') throw new Outside(thrown.message);
      const typed = thrown instanceof StepError && /^(MODULE|MEMORY|TABLE)_/.test(thrown.code);
      return [typed ? 'passed' : 'failed', 'refused'];
    }
  }

  #refill({ exports }: Live): void {
    if (this.#policy === undefined) return;
    set(exports, 'fuel', fuelOfCommand);
    set(exports, 'depth', this.#policy.callDepthMax);
    set(exports, 'stop', 0);
  }

  #used(): bigint {
    if (this.#policy === undefined) return 0n;
    return this.#all.reduce((sum, { exports }) => {
      const left = meterOf(exports, 'fuel')?.value as bigint;
      return sum + fuelOfCommand - left;
    }, 0n);
  }
}

const meterOf = (exports: WebAssembly.Exports, name: string): WebAssembly.Global | undefined =>
  exports[`jsonflow:${name}`] as WebAssembly.Global | undefined;

function set(exports: WebAssembly.Exports, name: string, value: number | bigint): void {
  const global = meterOf(exports, name);
  if (global !== undefined) global.value = value;
}

/** A global's value as bits. @param type what the script expects: JavaScript doesn't tell */
function bitsOfGlobal(global: WebAssembly.Global, type: string | undefined): Bits {
  const value = global.value as Bits;
  const view = new DataView(new ArrayBuffer(8));
  if (type === 'f32') {
    view.setFloat32(0, value as number);
    return view.getInt32(0);
  }
  if (type !== 'f64') return value;
  view.setFloat64(0, value as number);
  return view.getBigInt64(0);
}
