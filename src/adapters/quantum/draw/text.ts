import type { Circuit } from '../circuit/circuit.ts';
import { type Item, layoutOf, type Mark } from './layout.ts';

/**
 * The circuit as lines of text, one per qubit and one between for what joins them.
 * @param widthMax columns of a line; a longer circuit goes on below
 */
export function drawText(circuit: Circuit, widthMax = 100): string {
  const { qubits, columns } = layoutOf(circuit);
  const names = Array.from({ length: qubits }, (_, qubit) => `q${qubit}: `);
  const indent = Math.max(...names.map(({ length }) => length));
  const parts: string[][] = [];
  let lines = begin(names, indent);
  for (const column of columns) {
    const drawn = columnLines(column, qubits);
    if (widthOf(lines) + (drawn[0]?.length ?? 0) > widthMax && widthOf(lines) > indent + 1) {
      parts.push(lines);
      lines = begin(names, indent);
    }
    lines = lines.map((line, at) => line + (drawn[at] ?? ''));
  }
  parts.push(lines);
  return parts.map((part) => part.map((line) => line.trimEnd()).join('\n')).join('\n\n');
}

const widthOf = (lines: readonly string[]): number => lines[0]?.length ?? 0;

/** Even lines are qubits, odd ones lie between. */
const begin = (names: readonly string[], indent: number): string[] =>
  names.flatMap((name, qubit) => {
    const wire = `${name.padEnd(indent)}─`;
    return qubit === names.length - 1 ? [wire] : [wire, ' '.repeat(indent + 1)];
  });

function columnLines(items: readonly Item[], qubits: number): string[] {
  const width = items.reduce(
    (most, { marks }) => [...marks.values()].reduce((wide, mark) => Math.max(wide, markText(mark).length), most),
    1,
  );
  const lines = Array.from({ length: 2 * qubits - 1 }, (_, at) => (at % 2 === 0 ? '─' : ' ').repeat(width + 2));
  for (const { marks, low, high } of items)
    for (let at = 2 * low; at <= 2 * high; at += 1) {
      const mark = at % 2 === 0 ? marks.get(at / 2) : undefined;
      const fill = at % 2 === 0 ? '─' : ' ';
      lines[at] = centred(mark === undefined ? (at % 2 === 0 ? '┼' : '│') : markText(mark), width + 2, fill);
    }
  return lines;
}

function centred(text: string, width: number, fill: string): string {
  const before = Math.floor((width - text.length) / 2);
  return fill.repeat(before) + text + fill.repeat(width - before - text.length);
}

function markText(mark: Mark): string {
  switch (mark.kind) {
    case 'box':
      return `[${mark.label}]`;
    case 'control':
      return mark.value === 1 ? '●' : '○';
    case 'plus':
      return '⊕';
    case 'cross':
      return '×';
    case 'measure':
      return `M→${mark.bit}`;
    case 'barrier':
      return '░';
  }
}
