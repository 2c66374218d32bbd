import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import type { HostFunction, HostState } from './state.ts';

const textBytesMax = 4000;

function text(host: HostState, pointer: number, length: number): string {
  const bytes = Buffer.from(host.memory.at(pointer, length >>> 0).subarray(0, textBytesMax));
  host.chargeBytes(bytes.length);
  return clip(bytes.toString('utf8'), 1000);
}

function thrown(host: HostState, pointer: number, length: number): never {
  throw new StepError('WASM_EXITED', `the module threw an error: ${text(host, pointer, length)}`);
}

/** A text for JavaScript, which modules make to say what went wrong. */
const made = (host: HostState, pointer: number, length: number): number =>
  host.objects.add(text(host, pointer, length));

/** The few imports of wasm-bindgen that need no JavaScript of the module's own. Newer versions add a hash to the names. */
export function bindgenFunction(name: string, type: string): HostFunction | undefined {
  if (/^(__wbg_+(wbindgen_)?)?(__wbindgen_)?throw(_[0-9a-f]+)?$/.test(name) && type === 'ii:') return thrown;
  if (/^__wbindgen_(string|error)_new$/.test(name) && type === 'ii:i') return made;
  // Its table is for objects of JavaScript, of which there are none.
  if (/^__wbindgen_init_externref_table$/.test(name) && type === ':') return () => undefined;
  if (/^__wbindgen_object_drop_ref$/.test(name) && type === 'i:')
    return (host, index: number) => host.objects.drop(index);
  return undefined;
}
