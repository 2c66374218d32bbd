import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../lib/json.ts';
import type { PauliSum } from './circuit/pauli.ts';
import type { Expectation } from './simulate/request.ts';
import { parsePauliSum } from './variational/hamiltonian/parse.ts';

export interface NamedObservable {
  readonly name: string;
  readonly sum: PauliSum;
}

const observablesMax = 1024;
const letters = /^([IXYZ]+|[XYZ]\d+(\s+[XYZ]\d+)*)$/;

/**
 * Observables as params name them: one text of letters or one sum `{ "ZZ": 1, "XI": 0.5 }`, a list of such, or several by name.
 * @throws StepError INVALID_PARAMS
 */
export function observablesOf(given: JSONValue | undefined, qubits: number): NamedObservable[] {
  if (given === undefined) return [];
  const named = namedForms(given);
  if (named.length > observablesMax)
    throw new StepError(
      'INVALID_PARAMS',
      `params.observables are ${named.length}; at most ${observablesMax} are taken`,
    );
  return named.map(([name, form, path]) => {
    const sum = parsePauliSum(typeof form === 'string' ? { [form]: 1 } : form, path, qubits);
    return { name, sum };
  });
}

function namedForms(given: JSONValue): [name: string, form: JSONValue, path: string][] {
  const path = 'params.observables';
  if (typeof given === 'string') return [[given, given, path]];
  if (Array.isArray(given))
    return given.map((form, index) => [typeof form === 'string' ? form : `${index}`, form, `${path}[${index}]`]);
  if (!isObject(given)) throw new StepError('INVALID_PARAMS', `${path} must be a text, an object or a list`);
  const entries = Object.entries(given as JSONObject);
  // One sum has products of Pauli matrices as its keys, and numbers as its values.
  if (entries.length > 0 && entries.every(([key, value]) => letters.test(key) && typeof value === 'number'))
    return [[entries.map(([key]) => key).join(' + '), given, path]];
  return entries.map(([name, form]) => [name, form, `${path}.${name}`]);
}

/** By name; `error` is the standard error, 0 where the value is exact. */
export const expectationsJSON = (observables: readonly NamedObservable[], values: readonly Expectation[]): JSONObject =>
  Object.fromEntries(
    observables.map(({ name }, index) => {
      const { value = 0, variance = 0 } = values[index] ?? {};
      return [name, { value, error: Math.sqrt(variance) }];
    }),
  );
