import type { Expression, Operator } from '../../circuit/circuit.ts';
import { type Node, unsupported } from './node.ts';
import { nestingMax } from './numbers.ts';

/** Bits of a measurement by its key, the first qubit's first; `index` counts the measurements of the key so far, from the last where negative. */
export type BitsOf = (key: string, at: Node, index: number) => readonly number[];

const operators: Readonly<Record<string, Operator>> = {
  'sympy.Equality': '==',
  'sympy.Unequality': '!=',
  'sympy.GreaterThan': '>=',
  'sympy.StrictGreaterThan': '>',
  'sympy.LessThan': '<=',
  'sympy.StrictLessThan': '<',
  'sympy.And': '&&',
  'sympy.Or': '||',
  'sympy.Xor': '^',
};

/** When a classically controlled operation is done. A key stands for a number of which its first qubit is the most significant bit. */
export function conditionOf(node: Node, bitsOf: BitsOf): Expression {
  switch (node.type) {
    case 'KeyCondition':
      return binary('!=', numberOfKey(keyOf(node.get('key')), node, bitsOf, indexIn(node)), integer(0));
    case 'BitMaskKeyCondition': {
      const number = numberOfKey(keyOf(node.get('key')), node, bitsOf, indexIn(node));
      const mask = node.find('bitmask')?.value ?? null;
      const masked = mask === null ? number : binary('&', number, integer(node.get('bitmask').whole()));
      const isEqual = node.find('equal_target')?.value === true;
      return binary(isEqual ? '==' : '!=', masked, integer(node.find('target_value')?.whole() ?? 0));
    }
    case 'SympyCondition':
      return expressionOf(node.get('expr'), bitsOf, 0);
    default:
      throw unsupported(node.path, `is a ${node.type ?? 'condition that is'} not known here`);
  }
}

/** Names of keys within repeated circuits have the way to them before the name. */
export function keyOf(node: Node): string {
  if (node.type !== 'MeasurementKey') return node.text();
  const path =
    node
      .find('path')
      ?.items()
      .map((part) => part.text()) ?? [];
  return [...path, node.get('name').text()].join(':');
}

const indexIn = (node: Node): number => node.find('index')?.whole() ?? -1;

function expressionOf(node: Node, bitsOf: BitsOf, depth: number): Expression {
  if (depth > nestingMax) throw node.refuse(`is nested more than ${nestingMax} deep`);
  if (typeof node.value === 'number') return integer(node.whole());
  if (node.type === 'sympy.Integer') return integer(node.get('i').whole());
  if (node.type === 'sympy.Symbol') return numberOfKey(node.get('name').text(), node, bitsOf);
  const args = (): Expression[] =>
    node
      .get('args')
      .items()
      .map((arg) => expressionOf(arg, bitsOf, depth + 1));
  const [first, ...others] = node.type === 'sympy.Not' || Object.hasOwn(operators, node.type ?? '') ? args() : [];
  if (first === undefined)
    throw unsupported(node.path, `is a ${node.type ?? 'value'}, which has no place in a condition here`);
  if (node.type === 'sympy.Not') return { kind: 'not', of: first };
  const operator = operators[node.type ?? ''] as Operator;
  return others.reduce((left, right) => binary(operator, left, right), first);
}

const binary = (operator: Operator, left: Expression, right: Expression): Expression => ({
  kind: 'binary',
  operator,
  left,
  right,
});
const integer = (value: number): Expression => ({ kind: 'integer', value: BigInt(value) });

const numberOfKey = (key: string, at: Node, bitsOf: BitsOf, index = -1): Expression => ({
  kind: 'bits',
  bits: bitsOf(key, at, index).toReversed(),
});
