import { isObject, type JSONValue } from '../../src/lib/json.ts';

type Row = Record<string, JSONValue>;
type Column = readonly [title: string, cell: (row: Row) => string];

const number = (value: JSONValue | undefined): string => Number(value).toLocaleString('en-US');
const dollars = (value: JSONValue | undefined): string => (Number(value) === 0 ? '-' : `$${number(value)}`);
const share = (part: JSONValue | undefined, whole: JSONValue | undefined): string =>
  `${Math.round((100 * Number(part)) / Number(whole))} %`;
const title = (text: JSONValue | undefined): string =>
  String(text)
    .toLowerCase()
    .replace(/(^|[ /'-])([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
    .replace(/ (intl|arpt|airport)\b/gi, '')
    .slice(0, 30);

/** Rows of a step's output. */
function rowsOf(outputs: Record<string, JSONValue>, step: string): Row[] {
  const output = outputs[step];
  const rows = isObject(output) ? output.result : undefined;
  return Array.isArray(rows) ? (rows.filter(isObject) as Row[]) : [];
}

/** The result of the workflow for people. */
export function resultTables(outputs: Record<string, JSONValue>): string {
  const overview = isObject(outputs.overview) && isObject(outputs.overview.result) ? outputs.overview.result : {};
  const total = Number(overview.strikes);
  const animals = table(rowsOf(outputs, 'species_table'), [
    ['#', (row) => String(row.key)],
    ['Animal', (row) => String(row.species)],
    ['Strikes', (row) => number(row.strikes)],
    ['With damage', (row) => share(row.damaging, row.strikes)],
    ['Cost', (row) => dollars(row.cost)],
  ]);
  const airports = table(rowsOf(outputs, 'airport_table'), [
    ['#', (row) => String(row.key)],
    ['Airport', (row) => title(row.airport)],
    ['Strikes', (row) => number(row.strikes)],
    ['With damage', (row) => share(row.damaging, row.strikes)],
    ['Cost', (row) => dollars(row.cost)],
    ['Most in a week', (row) => number(row.swarm)],
    ['In a month', (row) => number(row.month)],
  ]);
  const lines = (name: string, step: string): string =>
    `${name}: ${rowsOf(outputs, step)
      .toSorted((a, b) => Number(b.value) - Number(a.value))
      .map((row) => `${String(row.key).toLowerCase()} ${share(row.value, total)}`)
      .join(', ')}`;
  return [
    `${number(total)} civil strikes, ${overview.first} to ${overview.last}, ${dollars(overview.cost)} of reported cost`,
    lines('Phase of flight', 'by_phase'),
    lines('Time of day', 'by_time'),
    '',
    'Animals that do damage most often (20 strikes or more)',
    animals,
    'Airports with the most strikes',
    airports,
  ].join('\n');
}

function table(rows: readonly Row[], columns: readonly Column[]): string {
  const cells = [columns.map(([name]) => name), ...rows.map((row) => columns.map(([, cell]) => cell(row)))];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => (line[column] ?? '').length)));
  // The first two columns are texts, the rest are numbers.
  const aligned = (text: string, column: number): string =>
    column === 1 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return cells.map((line) => `  ${line.map(aligned).join('  ').trimEnd()}\n`).join('');
}
