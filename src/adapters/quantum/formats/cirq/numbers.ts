import { StepError } from '../../../../lib/errors.ts';
import { closest } from '../../../../lib/suggest.ts';
import type { Node } from './node.ts';

export const nestingMax = 64;

/** Values of the parameters, by name; those that were looked up are kept. */
export class Parameters {
  readonly #values: Readonly<Record<string, number>>;
  readonly #used = new Set<string>();

  constructor(values: Readonly<Record<string, number>>) {
    this.#values = values;
  }

  value(name: string, at: Node): number {
    const value = Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
    if (value === undefined)
      throw new StepError(
        'INVALID_PARAMS',
        `cirq: ${at.path} has the parameter ${name}, which needs a value: parameters.${name}`,
      );
    if (!Number.isFinite(value)) throw new StepError('INVALID_PARAMS', `parameters.${name} is no finite number`);
    this.#used.add(name);
    return value;
  }

  /** @throws StepError INVALID_PARAMS where one was never asked for */
  end(): void {
    for (const name of Object.keys(this.#values)) {
      if (this.#used.has(name)) continue;
      const meant = closest(name, this.#used);
      throw new StepError(
        'INVALID_PARAMS',
        `parameters.${name} is no parameter of the circuit${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      );
    }
  }
}

/** A number, or an expression of SymPy over parameters. */
export function numberOf(node: Node, parameters: Parameters, depth = 0): number {
  const value = plainNumber(node, parameters, depth);
  if (!Number.isFinite(value)) throw node.refuse('is no finite number');
  return value;
}

function plainNumber(node: Node, parameters: Parameters, depth: number): number {
  if (typeof node.value === 'number') return node.value;
  if (depth > nestingMax) throw node.refuse(`is nested more than ${nestingMax} deep`);
  const args = (): number[] =>
    node
      .get('args')
      .items()
      .map((arg) => numberOf(arg, parameters, depth + 1));
  switch (node.type) {
    case 'sympy.Symbol':
      return parameters.value(node.get('name').text(), node);
    case 'sympy.Integer':
      return node.get('i').whole();
    case 'sympy.Float':
      return numberOf(node.get('approx'), parameters, depth + 1);
    case 'sympy.Rational':
      return node.get('p').whole() / node.get('q').whole();
    case 'sympy.pi':
      return Math.PI;
    case 'sympy.E':
      return Math.E;
    case 'sympy.Add':
      return args().reduce((sum, one) => sum + one, 0);
    case 'sympy.Mul':
      return args().reduce((product, one) => product * one, 1);
    case 'sympy.Pow': {
      const [base = Number.NaN, exponent = Number.NaN] = args();
      return base ** exponent;
    }
    default:
      throw node.refuse(
        node.type === undefined ? 'must be a number' : `is a ${node.type}, which is no number that is known here`,
      );
  }
}

/** A real number, or a `complex`. */
export function complexOf(node: Node): readonly [number, number] {
  const [re, im] = node.type === 'complex' ? [node.get('real').value, node.get('imag').value] : [node.value, 0];
  if (typeof re !== 'number' || typeof im !== 'number') throw node.refuse('must be a number or a complex');
  return [re, im];
}
