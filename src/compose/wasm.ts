// What the command line needs of the WebAssembly adapter.
export { inspectModule, measureModule, readModuleFile, type Verdict } from '../adapters/wasm/validator.ts';
