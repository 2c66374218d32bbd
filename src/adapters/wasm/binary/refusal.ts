import { StepError } from '../../../lib/errors.ts';

/** The module breaks the rules of the binary format at this byte. */
export const invalid = (offset: number, what: string): StepError =>
  new StepError('MODULE_INVALID', `The WebAssembly module is malformed at byte ${offset}: ${what}.`);

/** The module may be fine elsewhere, but uses what can't be bounded or be the same on every machine here. */
export const unsupported = (feature: string, advice: string): StepError =>
  new StepError('MODULE_UNSUPPORTED', `The WebAssembly module uses ${feature}, which isn't supported here. ${advice}`);

export const tooLarge = (what: string): StepError => new StepError('MODULE_TOO_LARGE', what);
