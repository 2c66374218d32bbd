import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import type { HostFunction, HostState } from './state.ts';

function thrown(host: HostState, pointer: number, length: number): never {
  const bytes = Buffer.from(host.memory.at(pointer, length >>> 0).subarray(0, 4000));
  throw new StepError('WASM_EXITED', `the module threw an error: ${clip(bytes.toString('utf8'), 1000)}`);
}

/** The few imports of wasm-bindgen that need no JavaScript of the module's own. Newer versions add a hash to the names. */
export function bindgenFunction(name: string, type: string): HostFunction | undefined {
  if (/^(__wbg_+(wbindgen_)?)?(__wbindgen_)?throw(_[0-9a-f]+)?$/.test(name) && type === 'ii:') return thrown;
  // Its table is for objects of JavaScript, of which there are none.
  if (/^__wbindgen_init_externref_table$/.test(name) && type === ':') return () => undefined;
  if (/^__wbindgen_object_drop_ref$/.test(name) && type === 'i:') return () => undefined;
  return undefined;
}
