import { StepError } from '../../../lib/errors.ts';
import { meter } from '../meter/meter.ts';
import type { ModuleShape, Policy } from '../types.ts';

/** A module that may run. */
export interface Prepared {
  module: WebAssembly.Module;
  shape: ModuleShape;
  /** Of the rewritten form. */
  bytes: number;
}

/** @throws StepError MODULE_INVALID, MODULE_UNSUPPORTED, MODULE_TOO_LARGE, MEMORY_LIMIT, TABLE_LIMIT */
export async function prepare(original: Uint8Array, policy: Policy): Promise<Prepared> {
  const { bytes, shape } = meter(original, policy);
  try {
    return { module: await WebAssembly.compile(bytes), shape, bytes: bytes.length };
  } catch (cause) {
    const said = cause instanceof Error ? cause.message.replace(/^WebAssembly\.\w+\(\): /, '') : 'it does not compile';
    throw new StepError('MODULE_INVALID', `the module is not valid: ${said}`, { cause });
  }
}
