import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { closest } from '../../../lib/suggest.ts';
import { adjoint, combine, identity, type Matrix, matrix, multiply } from '../circuit/complex.ts';
import { gateNames } from '../circuit/gates.ts';
import { Fields, refuse } from '../formats/gate-list/fields.ts';
import { listedGates, normalName } from '../formats/gate-list/names.ts';
import type { Channel, NoiseModel, NoiseRule, ReadoutError } from './noise-model.ts';

/** Of a model, so that each place of a circuit is looked up in bounded time. */
const rulesMax = 256;
/** Of a channel: as many as are independent over two qubits. */
const operatorsMax = 16;
const completenessTolerance = 1e-8;

/**
 * A noise model from JSON:
 *
 * ```json
 * {
 *   "channels": [
 *     { "channel": "depolarizing", "probability": 0.01, "gates": ["cx"] },
 *     { "channel": "amplitude_damping", "gamma": 0.002, "gate_qubits": 1 },
 *     { "channel": "bit_flip", "probability": 0.01, "after": "reset", "qubits": [0, 1] }
 *   ],
 *   "readout": { "one_given_zero": 0.01, "zero_given_one": 0.03 }
 * }
 * ```
 *
 * Where a channel acts: `after` gate (default), reset or measure; only on `gates` of these names, with all their controls (`cx`, `CNOT`, `ccx`);
 * only on gates over `gate_qubits` qubits, controls included; only on `qubits`. All that apply act, in order; channels over one qubit on each
 * qubit of the gate, channels over two on gates over two, controls being the first qubits.
 *
 * Channels and their fields, all probabilities from 0 to 1:
 * - `depolarizing`: `probability` p: ρ → (1 − p) ρ + p · 1/2^k, over both qubits of a gate over two, else each alone
 * - `bit_flip` (X), `phase_flip` (Z), `bit_phase_flip` (Y): `probability`
 * - `pauli`: `probabilities` by letters, such as { "X": 0.01, "Z": 0.02 } or { "XX": 0.01, "IZ": 0.02 }, the first qubit rightmost
 * - `amplitude_damping`: `gamma`, and `excited_population` (default 0) of the state that it ends in
 * - `phase_damping`: `lambda`: coherence falls by √(1 − lambda)
 * - `thermal_relaxation`: `t1`, `t2` ≤ 2 · t1, `time` in one unit, and `excited_population` (default 0)
 * - `kraus`: `operators`, matrices of 2 or 4 rows of numbers, a complex one as [re, im]; their K†K must sum up to 1
 *
 * `readout`: one error or a list of such with `qubits`; `probability` stands for both ways. Of those that name a qubit the last counts.
 *
 * @throws StepError INVALID_PARAMS with the path of what is wrong
 */
export function parseNoiseModel(json: JSONValue, path = 'noise'): NoiseModel {
  const fields = new Fields(json, path, '{ "readout": { "probability": 0.01 } }');
  const channels = listOf(fields.take('channels') ?? [], fields.at('channels'));
  const readout = fields.take('readout') ?? [];
  fields.end('a noise model');
  const errors = Array.isArray(readout) ? listOf(readout, `${path}.readout`) : [[readout, `${path}.readout`] as const];
  return {
    rules: channels.flatMap(([entry, at]) =>
      rulesOf(new Fields(entry, at, '{ "channel": "bit_flip", "probability": 0.01 }')),
    ),
    readout: errors.map(([entry, at]) => readoutOf(new Fields(entry, at, '{ "probability": 0.01 }'))),
  };
}

function listOf(value: JSONValue, path: string): (readonly [JSONValue, string])[] {
  if (!Array.isArray(value)) throw refuse(path, 'must be a list');
  if (value.length > rulesMax) throw refuse(path, `has ${value.length} entries; ${rulesMax} are the most`);
  return value.map((entry, at) => [entry, `${path}[${at}]`] as const);
}

function rulesOf(fields: Fields): NoiseRule[] {
  const name = fields.take('channel');
  const known = typeof name === 'string' && Object.hasOwn(channelReaders, name) ? channelReaders[name] : undefined;
  if (known === undefined) {
    const meant = typeof name === 'string' ? closest(name, Object.keys(channelReaders)) : undefined;
    const hint = meant === undefined ? `one of ${Object.keys(channelReaders).join(', ')}` : `did you mean ${meant}?`;
    throw refuse(fields.at('channel'), `is no channel that is known here: ${hint}`);
  }
  const place = placeOf(fields);
  const channel = known(fields);
  fields.end(`a ${name} channel`);
  if (channel.kind !== 'depolarizing' && channel.qubits === 2 && place.after !== 'gate')
    throw refuse(fields.path, `acts on two qubits, so it can't come after a ${place.after}`);
  return [{ ...place, channel }];
}

function placeOf(fields: Fields): Omit<NoiseRule, 'channel'> {
  const after = fields.take('after') ?? 'gate';
  if (after !== 'gate' && after !== 'reset' && after !== 'measure')
    throw refuse(fields.at('after'), 'must be gate, reset or measure');
  const gates = gatesOf(fields);
  const gateQubits = fields.number('gate_qubits');
  if (gateQubits !== undefined && (!Number.isInteger(gateQubits) || gateQubits < 1))
    throw refuse(fields.at('gate_qubits'), 'must be a whole number from 1');
  if (after !== 'gate' && (gates !== undefined || gateQubits !== undefined))
    throw refuse(fields.at('after'), `is ${after}, so there is no gate to name`);
  const qubits = fields.wholes('qubits');
  return {
    after,
    ...(gates === undefined ? {} : { gates }),
    ...(gateQubits === undefined ? {} : { gateQubits }),
    ...(qubits === undefined ? {} : { qubits }),
  };
}

function gatesOf(fields: Fields): string[] | undefined {
  const value = fields.take('gates');
  if (value === undefined) return undefined;
  const names = Array.isArray(value) ? value : [value];
  return names.map((name, at) => {
    const path = Array.isArray(value) ? `${fields.at('gates')}[${at}]` : fields.at('gates');
    if (typeof name !== 'string') throw refuse(path, 'must be the name of a gate');
    const listed = listedGates.get(normalName(name));
    if (listed?.anyControls) throw refuse(path, `is ${name}, which says no number of controls: write ccx, cccx, …`);
    if (listed?.params !== undefined) throw refuse(path, `is ${name}, a form of ${listed.gate}: name that`);
    if (listed !== undefined) return 'c'.repeat(listed.controls) + listed.gate;
    const plain = name.toLowerCase();
    if ([...gateNames, 'unitary'].includes(plain.replace(/^c{1,16}/, ''))) return plain;
    const meant = closest(normalName(name), listedGates.keys());
    throw refuse(path, `is no gate${meant === undefined ? '' : `; did you mean ${meant}?`}`);
  });
}

const channelReaders: Readonly<Record<string, (fields: Fields) => Channel>> = {
  depolarizing: (fields) => ({ kind: 'depolarizing', probability: share(fields, 'probability') }),
  bit_flip: (fields) => pauli({ X: share(fields, 'probability') }),
  phase_flip: (fields) => pauli({ Z: share(fields, 'probability') }),
  bit_phase_flip: (fields) => pauli({ Y: share(fields, 'probability') }),
  pauli: readPauli,
  amplitude_damping: (fields) => relaxation(share(fields, 'gamma'), 0, share(fields, 'excited_population', 0)),
  phase_damping: (fields) => relaxation(0, share(fields, 'lambda'), 0),
  thermal_relaxation: readThermal,
  kraus: readKraus,
};

const channelNames = Object.keys(channelReaders);

/** A number from 0 to 1. */
function share(fields: Fields, name: string, otherwise?: number): number {
  const value = fields.number(name) ?? otherwise;
  if (value === undefined) throw refuse(fields.at(name), 'is missing: it takes a number from 0 to 1');
  if (value < 0 || value > 1) throw refuse(fields.at(name), `is ${value}: it takes a number from 0 to 1`);
  return value;
}

const pauli = (probabilities: Record<string, number>, qubits: 1 | 2 = 1): Channel => ({
  kind: 'pauli',
  qubits,
  terms: Object.entries(probabilities).map(([letters, probability]) => ({ letters, probability })),
});

function readPauli(fields: Fields): Channel {
  const value = fields.take('probabilities');
  const path = fields.at('probabilities');
  const probabilities = new Fields(value ?? null, path, '{ "X": 0.01 }');
  const all = Object.keys(value ?? {}).map((letters) => {
    if (!/^[IXYZ]{1,2}$/.test(letters)) throw refuse(probabilities.at(letters), 'must be one or two of I, X, Y, Z');
    return [letters, share(probabilities, letters)] as const;
  });
  const lengths = new Set(all.map(([letters]) => letters.length));
  if (lengths.size !== 1) throw refuse(path, 'must name products of one or of two letters, and all of the same number');
  const sum = all.reduce((total, [, p]) => total + p, 0);
  if (sum > 1 + completenessTolerance) throw refuse(path, `sum up to ${sum}, more than 1`);
  const errors = all.filter(([letters, p]) => /[XYZ]/.test(letters) && p > 0);
  const identity = all.find(([letters]) => /^I+$/.test(letters));
  if (identity !== undefined && Math.abs(sum - 1) > completenessTolerance)
    throw refuse(path, `name the identity, so they must sum up to 1, not ${sum}; without it, it gets what is left`);
  return pauli(Object.fromEntries(errors), lengths.has(2) ? 2 : 1);
}

/**
 * Amplitude damping by `gamma` towards the thermal state, and phase damping by `lambda` beside it.
 * Source: Nielsen & Chuang, "Quantum Computation and Quantum Information", 8.3.5 and 8.3.6.
 */
function relaxation(gamma: number, lambda: number, excited: number): Channel {
  const [down, up] = [Math.sqrt(1 - excited), Math.sqrt(excited)];
  const keep = Math.sqrt((1 - gamma) * (1 - lambda));
  const fall = Math.sqrt(gamma);
  const dephase = Math.sqrt((1 - gamma) * lambda);
  const operators = [
    [down, [1, 0, 0, keep]],
    [down, [0, fall, 0, 0]],
    [down, [0, 0, 0, dephase]],
    [up, [keep, 0, 0, 1]],
    [up, [0, 0, fall, 0]],
    [up, [dephase, 0, 0, 0]],
  ] as const;
  const matrices = operators.map(([scale, [a, b, c, d]]) => [
    [scale * a, scale * b],
    [scale * c, scale * d],
  ]);
  return {
    kind: 'kraus',
    qubits: 1,
    operators: matrices.filter((rows) => rows.flat().some((entry) => entry !== 0)).map(matrix),
  };
}

function readThermal(fields: Fields): Channel {
  const times = ['t1', 't2', 'time'].map((name) => {
    const value = fields.number(name);
    if (value === undefined || value < 0 || (name !== 'time' && value === 0))
      throw refuse(fields.at(name), `must be a time ${name === 'time' ? 'from 0' : 'above 0'}`);
    return value;
  });
  const [t1 = 0, t2 = 0, time = 0] = times;
  if (t2 > 2 * t1) throw refuse(fields.at('t2'), `is ${t2}: it can't be above 2 · t1 = ${2 * t1}`);
  // Coherence falls by e^(−time/t2) in all, of which damping does e^(−time/2t1).
  const lambda = -Math.expm1(-2 * time * (1 / t2 - 1 / (2 * t1)));
  return relaxation(-Math.expm1(-time / t1), Math.max(0, lambda), share(fields, 'excited_population', 0));
}

function readKraus(fields: Fields): Channel {
  const path = fields.at('operators');
  const value = fields.take('operators');
  if (!Array.isArray(value) || value.length === 0 || value.length > operatorsMax)
    throw refuse(path, `must be a list of 1 to ${operatorsMax} matrices`);
  const operators = value.map((rows, at) => readMatrix(rows, `${path}[${at}]`));
  const dimension = operators[0]?.dimension ?? 0;
  if (operators.some((operator) => operator.dimension !== dimension)) throw refuse(path, 'must all have the same size');
  const sum = operators
    .map((operator) => multiply(adjoint(operator), operator))
    .reduce((left, right) => combine([1, 0], left, [1, 0], right));
  const one = identity(dimension).data;
  const error = sum.data.reduce((most, entry, at) => Math.max(most, Math.abs(entry - (one[at] ?? 0))), 0);
  if (error > completenessTolerance)
    throw refuse(path, `must keep probability: the sum of K†K differs from 1 by ${error.toPrecision(3)}`);
  return { kind: 'kraus', qubits: dimension === 4 ? 2 : 1, operators };
}

function readMatrix(value: JSONValue, path: string): Matrix {
  const isRow = (row: JSONValue): row is JSONValue[] => Array.isArray(row);
  const size = Array.isArray(value) ? value.length : 0;
  if (!Array.isArray(value) || (size !== 2 && size !== 4) || !value.every((row) => isRow(row) && row.length === size))
    throw refuse(path, 'must be a matrix of 2 or 4 rows as long, of numbers, a complex one as [re, im]');
  const isNumber = (entry: unknown): entry is number => typeof entry === 'number' && Number.isFinite(entry);
  return matrix(
    value.filter(isRow).map((row, r) =>
      row.map((entry, c): [number, number] => {
        if (isNumber(entry)) return [entry, 0];
        const [re, im, ...more] = Array.isArray(entry) ? entry : [];
        if (isNumber(re) && isNumber(im) && more.length === 0) return [re, im];
        throw refuse(`${path}[${r}][${c}]`, 'must be a number, or a complex one as [re, im]');
      }),
    ),
  );
}

function readoutOf(fields: Fields): ReadoutError {
  const both = fields.number('probability') === undefined ? undefined : share(fields, 'probability');
  const oneGivenZero = share(fields, 'one_given_zero', both);
  const zeroGivenOne = share(fields, 'zero_given_one', both);
  const qubits = fields.wholes('qubits');
  fields.end('a readout error');
  return { oneGivenZero, zeroGivenOne, ...(qubits === undefined ? {} : { qubits }) };
}

const probability: JSONObject = { type: 'number', minimum: 0, maximum: 1 };
const qubitList: JSONObject = { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1 };

const readoutSchema: JSONObject = {
  type: 'object',
  properties: { probability, one_given_zero: probability, zero_given_one: probability, qubits: qubitList },
  additionalProperties: false,
};

/** JSON Schema of what `parseNoiseModel` reads; which fields each channel takes it says itself. */
export const noiseSchema: JSONObject = {
  type: 'object',
  description: 'What goes wrong, as on a device: channels after gates, resets and measurements, and errors of readout.',
  properties: {
    channels: {
      type: 'array',
      maxItems: rulesMax,
      items: {
        type: 'object',
        required: ['channel'],
        properties: {
          channel: { enum: channelNames },
          after: { enum: ['gate', 'reset', 'measure'], description: 'Default gate.' },
          gates: {
            anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
            description: 'Only after gates of these names, such as "h", "cx". Default all.',
          },
          gate_qubits: { type: 'integer', minimum: 1, description: 'Only after gates over so many qubits.' },
          qubits: { ...qubitList, description: 'Only on these. Default all.' },
          probability,
          probabilities: { type: 'object', additionalProperties: probability },
          gamma: probability,
          lambda: probability,
          excited_population: probability,
          t1: { type: 'number', exclusiveMinimum: 0 },
          t2: { type: 'number', exclusiveMinimum: 0 },
          time: { type: 'number', minimum: 0 },
          operators: { type: 'array', minItems: 1, maxItems: operatorsMax },
        },
        additionalProperties: false,
      },
    },
    readout: { anyOf: [readoutSchema, { type: 'array', items: readoutSchema, maxItems: rulesMax }] },
  },
  additionalProperties: false,
};
