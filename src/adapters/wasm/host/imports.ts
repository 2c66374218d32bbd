import { StepError } from '../../../lib/errors.ts';
import { closest } from '../../../lib/suggest.ts';
import type { FunctionType, Guest, Host, HostSettings, ModuleImport, ModuleShape, ValueType } from '../types.ts';
import { assemblyscriptFunctions } from './assemblyscript.ts';
import { bindgenFunction } from './bindgen.ts';
import { emscriptenFunctions, refusedSystemCall } from './emscripten.ts';
import { errno } from './errno.ts';
import { extismFunctions } from './extism.ts';
import { fixOf } from './fixes.ts';
import { Fault } from './memory.ts';
import { type HostFunction, type HostFunctions, HostState } from './state.ts';
import { wasiFunctions } from './wasi.ts';

/** Fuel that each call of a host function takes, beside what it copies. */
const callFuel = 20;
const listedMax = 50;

/** An import that the host does not offer. */
export interface ImportProblem {
  /** The module and the name, as in `env.read_file`. */
  import: string;
  problem: string;
  /** What whoever builds the module can do. */
  fix: string;
}

interface Offer {
  /** By name and type. */
  functions: HostFunctions;
  /** Functions whose names are not known beforehand. */
  other?: (name: string, type: string) => HostFunction | undefined;
}

const offers: ReadonlyMap<string, Offer> = new Map<string, Offer>([
  ['wasi_snapshot_preview1', { functions: wasiFunctions }],
  ['extism:host/env', { functions: extismFunctions }],
  ['env', { functions: { ...assemblyscriptFunctions, ...emscriptenFunctions }, other: refusedSystemCall }],
  ['wbg', { functions: {}, other: bindgenFunction }],
  ['__wbindgen_placeholder__', { functions: {}, other: bindgenFunction }],
]);

/** The types of each name, by module. */
const offered: ReadonlyMap<string, ReadonlyMap<string, string[]>> = new Map(
  [...offers].map(([module, { functions }]) => {
    const types = new Map<string, string[]>();
    for (const key of Object.keys(functions)) {
      const [name = '', type = ''] = key.split(' ');
      types.set(name, [...(types.get(name) ?? []), type]);
    }
    return [module, types];
  }),
);

const letters: ReadonlyMap<ValueType, string> = new Map([
  ['i32', 'i'],
  ['i64', 'j'],
  ['f32', 'f'],
  ['f64', 'd'],
]);
const words: ReadonlyMap<string, ValueType> = new Map([...letters].map(([type, letter]) => [letter, type]));

function shortType({ params, results }: FunctionType): string {
  const list = (types: readonly ValueType[]): string => types.map((type) => letters.get(type) ?? '?').join('');
  return `${list(params)}:${list(results)}`;
}

const longType = ({ params, results }: FunctionType): string => `(${params.join(', ')}) -> (${results.join(', ')})`;

function written(type: string): string {
  const [params = '', results = ''] = type.split(':');
  const list = (part: string): ValueType[] => [...part].map((letter) => words.get(letter) ?? 'i32');
  return longType({ params: list(params), results: list(results) });
}

function find({ module, name, kind, type }: ModuleImport): HostFunction | undefined {
  const offer = offers.get(module);
  if (offer === undefined || kind !== 'func' || type === undefined) return undefined;
  const key = `${name} ${shortType(type)}`;
  return Object.hasOwn(offer.functions, key) ? offer.functions[key] : offer.other?.(name, shortType(type));
}

/** Whatever a module imports that is not offered here, each with a way out. Needs no instance. */
export function checkImports(shape: Pick<ModuleShape, 'imports'>): ImportProblem[] {
  return shape.imports.filter((item) => find(item) === undefined).map(problemOf);
}

function problemOf(item: ModuleImport): ImportProblem {
  const { module, name, kind, type } = item;
  const named = { import: `${module.slice(0, 100)}.${name.slice(0, 100)}`.toWellFormed() };
  if (kind !== 'func')
    return { ...named, problem: `a module may import functions only, not a ${kind}`, fix: fixOf(item) };
  const offer = offers.get(module);
  const typesByName = offered.get(module);
  const types = (typesByName?.get(name) ?? []).map(written);
  if (types.length > 0 && type !== undefined)
    return {
      ...named,
      problem: `it is imported as ${longType(type)}, and is offered as ${types.join(' or ')}`,
      fix: 'correct the declaration of the function, or build with the SDK whose type is offered',
    };
  const guess = module === 'env' ? undefined : closest(name, [...(typesByName?.keys() ?? [])]);
  const problem = offer === undefined ? 'no such module of functions is offered' : 'no such function is offered';
  return {
    ...named,
    problem: guess === undefined ? problem : `${problem}; did you mean ${JSON.stringify(guess)}?`,
    fix: fixOf(item),
  };
}

/**
 * The host's side of one instance: what its module imports, by a list of names and types, and what it has given the host so far.
 *
 * @throws StepError IMPORT_UNSUPPORTED with all the imports that are not offered, and what to do about each
 */
export function resolveImports(shape: ModuleShape, settings: HostSettings, guest: Guest): Host {
  const found = shape.imports.map(find);
  if (found.includes(undefined)) throw refusal(checkImports(shape));
  const state = new HostState(settings, guest);
  // Without a prototype: a module may well name an import `__proto__`.
  const imports: WebAssembly.Imports = Object.create(null);
  for (const [index, item] of shape.imports.entries()) {
    const own = found[index];
    if (own === undefined) continue;
    imports[item.module] ??= Object.create(null) as WebAssembly.ModuleImports;
    (imports[item.module] as WebAssembly.ModuleImports)[item.name] = bind(own, item, state);
  }
  return {
    imports,
    stdout: () => state.stdout.bytes(),
    stderr: () => state.stderr.text(),
    logs: () => state.logs.lines(),
    output: () => state.kernel.output(),
    pluginError: () => state.kernel.error(),
    objectText: (index) => state.objects.text(index),
  };
}

/** A bad pointer is an error number where the function has one to give, and the end of the call elsewhere. */
function bind(own: HostFunction, { module, name }: ModuleImport, state: HostState): (...args: never[]) => unknown {
  const isWasi = module === 'wasi_snapshot_preview1';
  return (...args) => {
    state.guest.charge(callFuel);
    try {
      return own(state, ...args);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (isWasi) return errno.fault;
      throw new StepError(
        'WASM_TRAP',
        `memory access out of bounds: the module passed a pointer outside its memory to ${module}.${name}`,
      );
    }
  };
}

/** @throws StepError IMPORT_UNSUPPORTED with all the imports that are not offered, and what to do about each */
export function refuseImports(shape: Pick<ModuleShape, 'imports'>): void {
  const problems = checkImports(shape);
  if (problems.length > 0) throw refusal(problems);
}

function refusal(problems: readonly ImportProblem[]): StepError {
  const list = problems.slice(0, listedMax).map((item) => `${item.import}: ${item.problem}; ${item.fix}`);
  const more = problems.length > listedMax ? `\n… and ${problems.length - listedMax} more` : '';
  return new StepError('IMPORT_UNSUPPORTED', `the module imports what is not offered here:\n${list.join('\n')}${more}`);
}
