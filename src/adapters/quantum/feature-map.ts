import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../lib/json.ts';
import type { Circuit } from './circuit/circuit.ts';
import { type Entanglement, featureMap, pairs } from './circuit/library.ts';
import type { PauliSum } from './circuit/pauli.ts';

type Features = 'z' | 'zz' | 'probabilities';

const rowsMax = 100_000;
const probabilityQubitsMax = 10;

/** One row of data as it came: its features, and how a row with other features is written. */
interface Row {
  readonly features: readonly number[];
  readonly rebuilt: (features: number[]) => JSONValue;
}

/** A feature map over rows of data. */
export interface FeatureMap {
  readonly qubits: number;
  readonly rows: readonly Row[];
  readonly features: Features;
  readonly circuitOf: (row: Row) => Circuit;
  /** What is measured of each circuit, where it is not the probabilities. */
  readonly observables: readonly PauliSum[];
  /** Of the features that come out. */
  readonly names: readonly string[];
}

/**
 * Rows are lists of numbers, or objects whose `features` are such a list; one row alone is taken as well. What else a row has, such as a label (in
 * a list, one number more than there are qubits), stays with it, so that the result is what a classifier is trained with.
 * @param checkQubits throws where there are too many: all pairs of them are about to be listed
 * @throws StepError INVALID_PARAMS that names the row, and what `checkQubits` throws
 */
export function featureMapOf(
  { input, qubits, features, reps, entanglement }: JSONObject,
  checkQubits: (qubits: number) => void,
): FeatureMap {
  const rows = rowsOf(input, typeof qubits === 'number' ? qubits : undefined);
  const width = typeof qubits === 'number' ? qubits : (rows[0]?.features.length ?? 0);
  checkQubits(width);
  rows.forEach((row, index) => {
    if (row.features.length !== width)
      throw new StepError(
        'INVALID_PARAMS',
        `params.input[${index}] has ${row.features.length} features, and ${typeof qubits === 'number' ? `there are ${width} qubits` : `the first row has ${width}`}: one feature per qubit`,
      );
  });
  const kind = (features ?? 'zz') as Features;
  if (kind === 'probabilities' && width > probabilityQubitsMax)
    throw new StepError(
      'INVALID_PARAMS',
      `params.features "probabilities" are 2^${width} numbers a row; they are given for ${probabilityQubitsMax} qubits at most. Use "zz" or "z"`,
    );
  const way = (entanglement ?? 'full') as Entanglement;
  const places = [
    ...Array.from({ length: width }, (_, qubit) => [qubit]),
    ...(kind === 'zz' ? pairs(width, 'full') : []),
  ];
  return {
    qubits: width,
    rows,
    features: kind,
    circuitOf: (row) => featureMap(row.features, typeof reps === 'number' ? reps : 2, way),
    observables: kind === 'probabilities' ? [] : places.map((on) => zOn(on, width)),
    names:
      kind === 'probabilities'
        ? Array.from({ length: 2 ** width }, (_, state) => `P(${state.toString(2).padStart(width, '0')})`)
        : places.map((on) => on.map((qubit) => `Z${qubit}`).join(' ')),
  };
}

const zOn = (on: readonly number[], qubits: number): PauliSum => ({
  qubits,
  terms: [
    {
      coefficient: 1,
      letters: Array.from({ length: qubits }, (_, at) => (on.includes(qubits - 1 - at) ? 'Z' : 'I')).join(''),
    },
  ],
});

function rowsOf(input: JSONValue | undefined, qubits: number | undefined): Row[] {
  if (input === undefined || input === null)
    throw new StepError('INVALID_PARAMS', 'a feature_map needs params.input: rows of numbers, one per qubit');
  const isRow = Array.isArray(input) && input.length > 0 && input.every((one) => typeof one === 'number');
  const list = Array.isArray(input) && !isRow ? input : [input];
  if (list.length > rowsMax)
    throw new StepError(
      'INVALID_PARAMS',
      `params.input has ${list.length} rows; at most ${rowsMax} are taken in one step`,
    );
  return list.map((row, index) => rowOf(row, qubits, `params.input[${index}]`));
}

function rowOf(row: JSONValue, qubits: number | undefined, path: string): Row {
  if (Array.isArray(row)) {
    const hasLabel = qubits !== undefined && row.length === qubits + 1;
    const label = hasLabel ? row.slice(-1) : [];
    return {
      features: numbers(hasLabel ? row.slice(0, -1) : row, path),
      rebuilt: (features) => [...features, ...label],
    };
  }
  if (!isObject(row))
    throw new StepError('INVALID_PARAMS', `${path} must be a list of numbers, or an object with "features"`);
  const { features: own, ...others } = row as JSONObject;
  if (!Array.isArray(own)) throw new StepError('INVALID_PARAMS', `${path}.features must be a list of numbers`);
  return { features: numbers(own, `${path}.features`), rebuilt: (features) => ({ ...others, features }) };
}

function numbers(list: readonly JSONValue[], path: string): number[] {
  if (list.length === 0) throw new StepError('INVALID_PARAMS', `${path} has no features: one is needed per qubit`);
  return list.map((value, index) => {
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new StepError('INVALID_PARAMS', `${path}[${index}] must be a number`);
  });
}
