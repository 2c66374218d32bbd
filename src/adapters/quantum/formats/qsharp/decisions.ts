import { StepError } from '../../../../lib/errors.ts';
import type { Expression } from '../../circuit/circuit.ts';

/** A yes or no that follows from measured bits: a node of a reduced ordered binary decision diagram, doi:10.1109/TC.1986.1676819. */
export type Decision = boolean | DecisionNode;

interface DecisionNode {
  readonly id: number;
  readonly bit: number;
  readonly zero: Decision;
  readonly one: Decision;
}

const nodesMax = 50_000;
const expressionMax = 2_000;

/** Equal decisions are the same object, so that it shows where branches meet again. */
export class Decisions {
  readonly #nodes = new Map<string, DecisionNode>();
  readonly #known = new Map<string, Decision>();

  bit(bit: number): Decision {
    return this.#node(bit, false, true);
  }

  not(of: Decision): Decision {
    return this.choose(of, false, true);
  }

  and(a: Decision, b: Decision): Decision {
    return this.choose(a, b, false);
  }

  or(a: Decision, b: Decision): Decision {
    return this.choose(a, true, b);
  }

  /** `one` where `of` holds, else `zero`. */
  choose(of: Decision, one: Decision, zero: Decision): Decision {
    if (of === true || one === zero) return one;
    if (of === false) return zero;
    if (one === true && zero === false) return of;
    const key = `${of.id} ${idOf(one)} ${idOf(zero)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const bit = Math.min(of.bit, bitOf(one), bitOf(zero));
    const part = (value: 0 | 1): Decision =>
      this.choose(cofactor(of, bit, value), cofactor(one, bit, value), cofactor(zero, bit, value));
    const result = this.#node(bit, part(0), part(1));
    this.#known.set(key, result);
    return result;
  }

  #node(bit: number, zero: Decision, one: Decision): Decision {
    if (zero === one) return one;
    const key = `${bit} ${idOf(zero)} ${idOf(one)}`;
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    if (this.#nodes.size >= nodesMax)
      throw new StepError(
        'CIRCUIT_TOO_LARGE',
        'Q#: what follows from the measurements is too involved to be written as conditions',
      );
    const node = { id: this.#nodes.size + 2, bit, zero, one };
    this.#nodes.set(key, node);
    return node;
  }
}

const idOf = (of: Decision): number => (typeof of === 'boolean' ? Number(of) : of.id);
const bitOf = (of: Decision): number => (typeof of === 'boolean' ? Number.POSITIVE_INFINITY : of.bit);
const cofactor = (of: Decision, bit: number, value: 0 | 1): Decision =>
  typeof of === 'boolean' || of.bit !== bit ? of : value === 1 ? of.one : of.zero;

/** The decision as a condition of a circuit. */
export function expressionOf(decision: Decision): Expression {
  let left = expressionMax;
  const write = (of: Decision): Expression => {
    left -= 1;
    if (left < 0) throw new StepError('CIRCUIT_TOO_LARGE', 'Q#: a condition on measurements is too long');
    if (typeof of === 'boolean') return { kind: 'integer', value: of ? 1n : 0n };
    const { bit, zero, one } = of;
    const isOne: Expression = { kind: 'bits', bits: [bit] };
    const isZero: Expression = { kind: 'not', of: isOne };
    if (one === true) return zero === false ? isOne : binary('||', isOne, write(zero));
    if (zero === true) return one === false ? isZero : binary('||', isZero, write(one));
    if (one === false) return binary('&&', isZero, write(zero));
    if (zero === false) return binary('&&', isOne, write(one));
    return binary('||', binary('&&', isOne, write(one)), binary('&&', isZero, write(zero)));
  };
  return write(decision);
}

const binary = (operator: '&&' | '||', left: Expression, right: Expression): Expression => ({
  kind: 'binary',
  operator,
  left,
  right,
});
