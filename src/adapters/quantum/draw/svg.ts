import type { Circuit } from '../circuit/circuit.ts';
import { type Item, layoutOf, type Mark } from './layout.ts';

const row = 44;
const gap = 14;
const letter = 7.4;
const boxHeight = 28;
const margin = 16;
const widthMax = 1400;

/** The circuit as an SVG picture, which follows the colours of a light or dark page. A long one goes on in further rows. */
export function drawSvg(circuit: Circuit): string {
  const { qubits, columns } = layoutOf(circuit);
  const names = Array.from({ length: qubits }, (_, qubit) => `q${qubit}`);
  const start = margin + Math.max(...names.map(({ length }) => length)) * letter + 12;
  const systems = broken(columns, start);
  const height = qubits * row + margin;
  const width = systems.reduce((most, { end }) => Math.max(most, end), start) + margin;
  const body = systems.map(({ placed, end }, index) => {
    const wires = names.map((name, qubit) => {
      const y = yOf(qubit);
      return `<text x="${margin}" y="${y + 5}">${name}</text><path class="w" d="M${start - 6} ${y}H${end}"/>`;
    });
    const items = placed.flatMap(({ column, x }) => column.map((item) => itemSvg(item, x)));
    return `<g transform="translate(0 ${index * height})">${wires.join('')}${items.join('')}</g>`;
  });
  const total = systems.length * height + margin;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(width)} ${total}" width="${round(width)}" height="${total}" role="img" aria-label="Circuit of ${qubits} qubits"><style>${style}</style>${body.join('')}</svg>`;
}

const style =
  'svg{font:13px ui-monospace,Menlo,Consolas,monospace;color:#1c2430;background:#fff}text{fill:currentColor}.w,.j,.o{stroke:currentColor;fill:none;stroke-width:1.3}.b{fill:#e8eefc;stroke:#3b5bdb;stroke-width:1.3}.m{fill:#f1f3f5;stroke:#495057;stroke-width:1.3}.p{fill:#3b5bdb;stroke:#3b5bdb}.q{stroke:#fff;stroke-width:1.6}.d{fill:currentColor}.o{fill:#fff}.r{stroke:#868e96;stroke-dasharray:3 3;fill:none}.t{text-anchor:middle}.s{font-size:10px}@media(prefers-color-scheme:dark){svg{color:#e6e9ef;background:#14181f}.b{fill:#1f2b4d;stroke:#7c9bff}.m{fill:#262b33;stroke:#adb5bd}.p{fill:#7c9bff;stroke:#7c9bff}.q{stroke:#14181f}.o{fill:#14181f}}';

interface System {
  placed: { column: readonly Item[]; x: number }[];
  end: number;
}

/** Columns with their places, in rows that are not too wide. */
function broken(columns: readonly (readonly Item[])[], start: number): System[] {
  const systems: System[] = [{ placed: [], end: start + gap }];
  for (const column of columns) {
    const width = columnWidth(column);
    let system = systems.at(-1) as System;
    if (system.end + width + gap > widthMax && system.placed.length > 0) {
      system = { placed: [], end: start + gap };
      systems.push(system);
    }
    system.placed.push({ column, x: system.end + width / 2 });
    system.end += width + gap;
  }
  return systems;
}

const columnWidth = (column: readonly Item[]): number =>
  column.reduce(
    (most, { marks }) => [...marks.values()].reduce((wide, mark) => Math.max(wide, markWidth(mark)), most),
    18,
  );

function markWidth(mark: Mark): number {
  if (mark.kind === 'box') return mark.label.length * letter + 14;
  return mark.kind === 'measure' ? Math.max(30, mark.bit.length * letter + 12) : 18;
}

const yOf = (qubit: number): number => margin + qubit * row + row / 2;

function itemSvg({ marks, low, high }: Item, x: number): string {
  const isBarrier = [...marks.values()].every(({ kind }) => kind === 'barrier');
  const join = low === high || isBarrier ? '' : `<path class="j" d="M${round(x)} ${yOf(low)}V${yOf(high)}"/>`;
  return join + [...marks].map(([qubit, mark]) => markSvg(mark, round(x), yOf(qubit))).join('');
}

function markSvg(mark: Mark, x: number, y: number): string {
  switch (mark.kind) {
    case 'box': {
      const width = round(markWidth(mark));
      return `<rect class="b" x="${round(x - width / 2)}" y="${y - boxHeight / 2}" width="${width}" height="${boxHeight}" rx="4"/><text class="t" x="${x}" y="${y + 5}">${escaped(mark.label)}</text>`;
    }
    case 'control':
      return mark.value === 1
        ? `<circle class="d" cx="${x}" cy="${y}" r="4.5"/>`
        : `<circle class="o" cx="${x}" cy="${y}" r="4.5"/>`;
    case 'plus':
      return `<circle class="p" cx="${x}" cy="${y}" r="10"/><path class="q" d="M${x - 6} ${y}H${x + 6}M${x} ${y - 6}V${y + 6}"/>`;
    case 'cross':
      return `<path class="j" d="M${x - 6} ${y - 6}L${x + 6} ${y + 6}M${x - 6} ${y + 6}L${x + 6} ${y - 6}"/>`;
    case 'measure': {
      const width = round(markWidth(mark));
      return `<rect class="m" x="${round(x - width / 2)}" y="${y - boxHeight / 2}" width="${width}" height="${boxHeight}" rx="4"/><path class="j" d="M${x - 8} ${y + 2}a8 8 0 0 1 16 0M${x} ${y + 2}l5 -9"/><text class="t s" x="${x}" y="${y + 12}">${escaped(mark.bit)}</text>`;
    }
    case 'barrier':
      return `<path class="r" d="M${x} ${y - row / 2}V${y + row / 2}"/>`;
  }
}

const round = (value: number): number => Math.round(value * 10) / 10;
const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign] ?? sign);
