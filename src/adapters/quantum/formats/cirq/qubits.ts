import { type Node, unsupported } from './node.ts';

/** A qubit by what tells it from others, and what it is sorted by. */
export interface CirqQubit {
  readonly key: string;
  readonly order: readonly (string | number)[];
}

export function qubitOf(node: Node): CirqQubit {
  const order = orderOf(node);
  return { key: JSON.stringify(order), order };
}

function orderOf(node: Node): (string | number)[] {
  switch (node.type) {
    case 'GridQubit':
      return ['GridQubit', node.get('row').whole(), node.get('col').whole()];
    case 'LineQubit':
      return ['LineQubit', node.get('x').whole()];
    case 'NamedQubit':
      return ['NamedQubit', padded(node.get('name').text())];
    case undefined:
      throw node.refuse('must be a qubit');
    default:
      throw unsupported(node.path, `is a ${node.type}: there are LineQubit, GridQubit and NamedQubit`);
  }
}

/** So that `a10` comes after `a2`, and `a00` after `a0`. */
const padded = (name: string): string =>
  name.replace(/\p{Nd}+/gu, (digits) => `${digits.padStart(8, '0')}:${[...digits].length}`);

/** As Cirq sorts qubits: by the name of their kind, then by their place. */
export function compareQubits(a: CirqQubit, b: CirqQubit): number {
  for (const [at, left] of a.order.entries()) {
    const right = b.order[at] ?? '';
    if (left === right) continue;
    if (typeof left === 'number' && typeof right === 'number') return left - right;
    return compareText(String(left), String(right));
  }
  return 0;
}

/** By code points, as Python does. */
function compareText(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const difference = (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
