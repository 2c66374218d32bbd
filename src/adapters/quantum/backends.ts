import { StepError } from '../../lib/errors.ts';
import type { JSONObject } from '../../lib/json.ts';
import { closest } from '../../lib/suggest.ts';
import type { MethodName } from './simulate/request.ts';

/** Where a circuit runs. */
export type Backend =
  | { readonly kind: 'simulator'; readonly name: string; readonly method: MethodName }
  | { readonly kind: 'hardware'; readonly name: string };

const simulators: Readonly<Record<string, MethodName>> = {
  simulator: 'automatic',
  qasm_simulator: 'automatic',
  statevector_simulator: 'statevector',
};
/** Where neither the step nor its node says. */
export const backendUsual = 'qasm_simulator';
const hardware = ['real_quantum_hardware', 'ionq', 'ibm'];

/**
 * The back end that a step names, with the method that it is asked for.
 * @param usual what the node is set up with
 * @throws StepError INVALID_PARAMS
 */
export function backendOf({ backend, method }: JSONObject, usual: string): Backend {
  const name = typeof backend === 'string' ? backend : usual;
  if (hardware.includes(name)) {
    if (method !== undefined)
      throw new StepError('INVALID_PARAMS', `params.method is for simulators; ${name} is hardware`);
    return { kind: 'hardware', name };
  }
  const own = Object.hasOwn(simulators, name) ? simulators[name] : undefined;
  if (own === undefined) throw new StepError('INVALID_PARAMS', unknown(name));
  if (typeof method === 'string' && own !== 'automatic' && method !== own)
    throw new StepError(
      'INVALID_PARAMS',
      `${name} is the method ${own}, but params.method is ${method}: leave one out`,
    );
  return { kind: 'simulator', name, method: own === 'automatic' ? ((method ?? own) as MethodName) : own };
}

function unknown(name: string): string {
  const known = [...Object.keys(simulators), ...hardware];
  const meant = closest(name, known);
  return `params.backend: there is no back end ${JSON.stringify(name.slice(0, 64))}${meant === undefined ? `. There are ${known.join(', ')}` : `; did you mean ${meant}?`}`;
}
