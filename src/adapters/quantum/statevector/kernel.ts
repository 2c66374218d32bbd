import { readFileSync } from 'node:fs';

export type Precision = 'double' | 'single';

/** The exports of kernel/kernel.as. Addresses are bytes; the number 32-bit, unsigned. */
export interface Kernel {
  readonly workDouble: (job: number, buffer: number) => void;
  readonly workSingle: (job: number, buffer: number) => void;
  readonly applyDouble: Apply;
  readonly applySingle: Apply;
  readonly dotDouble: Dot;
  readonly dotSingle: Dot;
}

type Apply = (state: number, to: number, first: number, units: number, terms: number, count: number) => void;
type Dot = (left: number, right: number, units: number, result: number) => void;

const modules = new Map<boolean, WebAssembly.Module>();

/** One of the two builds: `strict` rounds alike on every machine. */
export function kernelModule(strict: boolean): WebAssembly.Module {
  let module = modules.get(strict);
  if (module === undefined) {
    const file = new URL(`./kernel/${strict ? 'strict' : 'relaxed'}.wasm`, import.meta.url);
    module = new WebAssembly.Module(readFileSync(file));
    modules.set(strict, module);
  }
  return module;
}

export const instantiate = (module: WebAssembly.Module, memory: WebAssembly.Memory): Kernel =>
  new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernel;
