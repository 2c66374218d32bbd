import { type GateOperation, gateOn } from '../../circuit/circuit.ts';
import { type Gate, gateNamed, type NamedGate, shapeOf } from '../../circuit/gates.ts';

/** A gate that needs no definition in the program. */
export interface StandardGate {
  readonly params: number;
  readonly qubits: number;
  /** @param isExact whether its phase matters, as it does where it gets a control */
  readonly on: (params: readonly number[], qubits: readonly number[], isExact: boolean) => GateOperation[];
}

/** The gate on the last qubits, the first being its controls. */
const known = (name: NamedGate, controls = 0): StandardGate => {
  const { targets, params } = shapeOf(name);
  return {
    params: params.length,
    qubits: controls + targets,
    on: (values, qubits) => [controlled(gateNamed(name, ...values), qubits, controls)],
  };
};

const controlled = (gate: Gate, qubits: readonly number[], controls: number): GateOperation =>
  gateOn(
    gate,
    qubits.slice(controls),
    qubits.slice(0, controls).map((qubit) => ({ qubit, value: 1 })),
  );

/** An `u` times `e^{i·phase}`. */
const rotated = (
  params: number,
  angles: (given: readonly number[]) => readonly [number, number, number],
  phase: (given: readonly number[]) => number,
): StandardGate => ({
  params,
  qubits: 1,
  on: (given, qubits, isExact) => [
    gateOn(gateNamed('u', ...angles(given)), qubits),
    ...(isExact ? [gateOn(gateNamed('gphase', phase(given)), [])] : []),
  ],
});

/** Gates of known names on the qubits whose numbers among the gate's follow. */
const sequence = (qubits: number, ...steps: readonly (readonly [string, ...number[]])[]): StandardGate => ({
  params: 0,
  qubits,
  on: (_, on, isExact) =>
    steps.flatMap(([name, ...places]) => {
      const picked = places.map((place) => on[place] ?? 0);
      return (standardGates.get(name) as StandardGate).on([], picked, isExact);
    }),
});

const quarter = Math.PI / 2;

/**
 * Those of `qelib1.inc`, of `stdgates.inc`, and others that Qiskit and Cirq write without a definition. Phases as `stdgates.inc` defines them:
 * its `u2` and `u3` have one that the circuit's `u` has not.
 */
export const standardGates: ReadonlyMap<string, StandardGate> = new Map<string, StandardGate>([
  ...(['id', 'x', 'y', 'z', 'h', 's', 'sdg', 't', 'tdg', 'sx', 'sxdg', 'rx', 'ry', 'rz', 'p', 'r', 'u'] as const).map(
    (name) => [name, known(name)] as const,
  ),
  ...(['swap', 'iswap', 'dcx', 'ecr', 'rxx', 'ryy', 'rzz', 'rzx', 'xx_plus_yy', 'xx_minus_yy'] as const).map(
    (name) => [name, known(name)] as const,
  ),
  ...(['x', 'y', 'z', 'h', 's', 'sdg', 'sx', 'rx', 'ry', 'rz', 'p', 'swap'] as const).map(
    (name) => [`c${name}`, known(name, 1)] as const,
  ),
  ['phase', known('p')],
  ['u1', known('p')],
  ['cphase', known('p', 1)],
  ['cu1', known('p', 1)],
  ['cu3', known('u', 1)],
  ['CX', known('x', 1)],
  ['ccx', known('x', 2)],
  ['ccz', known('z', 2)],
  ['c3x', known('x', 3)],
  ['c4x', known('x', 4)],
  ['c3sx', known('sx', 3)],
  ['c3sqrtx', known('sx', 3)],
  ['u0', { params: 1, qubits: 1, on: (_, qubits) => [gateOn(gateNamed('id'), qubits)] }],
  [
    'u2',
    rotated(
      2,
      ([p = 0, l = 0]) => [quarter, p, l],
      ([p = 0, l = 0]) => -(p + l) / 2,
    ),
  ],
  [
    'u3',
    rotated(
      3,
      ([t = 0, p = 0, l = 0]) => [t, p, l],
      ([, p = 0, l = 0]) => -(p + l) / 2,
    ),
  ],
  [
    'cu',
    {
      params: 4,
      qubits: 2,
      on: ([t = 0, p = 0, l = 0, g = 0], [control = 0, target = 0]) => [
        ...(g === 0 ? [] : [gateOn(gateNamed('p', g), [control])]),
        controlled(gateNamed('u', t, p, l), [control, target], 1),
      ],
    },
  ],
  [
    'rccx',
    sequence(
      3,
      ['h', 2],
      ['t', 2],
      ['cx', 1, 2],
      ['tdg', 2],
      ['cx', 0, 2],
      ['t', 2],
      ['cx', 1, 2],
      ['tdg', 2],
      ['h', 2],
    ),
  ],
  [
    'rc3x',
    sequence(
      4,
      ...(['h', 't'] as const).map((name) => [name, 3] as const),
      ['cx', 2, 3],
      ['tdg', 3],
      ['h', 3],
      ['cx', 0, 3],
      ['t', 3],
      ['cx', 1, 3],
      ['tdg', 3],
      ['cx', 0, 3],
      ['t', 3],
      ['cx', 1, 3],
      ['tdg', 3],
      ['h', 3],
      ['t', 3],
      ['cx', 2, 3],
      ['tdg', 3],
      ['h', 3],
    ),
  ],
]);

/** The gates of the language itself. In version 3 `U` is 2π-periodic: `u` times `e^{iθ/2}`. */
export const builtInGates: Readonly<Record<2 | 3, ReadonlyMap<string, StandardGate>>> = {
  2: new Map([
    ['U', known('u')],
    ['CX', known('x', 1)],
  ]),
  3: new Map([
    [
      'U',
      rotated(
        3,
        ([t = 0, p = 0, l = 0]) => [t, p, l],
        ([t = 0]) => t / 2,
      ),
    ],
    ['gphase', known('gphase')],
  ]),
};
