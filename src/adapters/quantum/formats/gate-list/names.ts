import type { NamedGate } from '../../circuit/gates.ts';

/** A gate as the gate list names it: the gate of the table, how many controls its name holds, and params that the name fixes. */
export interface ListedGate {
  readonly gate: NamedGate;
  readonly controls: number;
  /** Set where the name has another number of params than the gate: gives the gate's. */
  readonly params?: { readonly names: readonly string[]; readonly of: (given: readonly number[]) => readonly number[] };
  /** As many controls as are given. */
  readonly anyControls?: true;
}

const listed = (gate: NamedGate, controls = 0, others: Partial<ListedGate> = {}): ListedGate => ({
  gate,
  controls,
  ...others,
});
const quarter = Math.PI / 2;

/** By name in capitals without `_` and `-`. The first name of a gate is the one that it is written with. */
export const listedGates: ReadonlyMap<string, ListedGate> = new Map(
  Object.entries({
    I: listed('id'),
    ID: listed('id'),
    X: listed('x'),
    NOT: listed('x'),
    Y: listed('y'),
    Z: listed('z'),
    H: listed('h'),
    HADAMARD: listed('h'),
    S: listed('s'),
    SDG: listed('sdg'),
    T: listed('t'),
    TDG: listed('tdg'),
    SX: listed('sx'),
    SXDG: listed('sxdg'),
    RX: listed('rx'),
    RY: listed('ry'),
    RZ: listed('rz'),
    P: listed('p'),
    PHASE: listed('p'),
    U1: listed('p'),
    U: listed('u'),
    U3: listed('u'),
    U2: listed('u', 0, { params: { names: ['phi', 'lambda'], of: ([phi = 0, lambda = 0]) => [quarter, phi, lambda] } }),
    R: listed('r'),
    GPHASE: listed('gphase'),
    SWAP: listed('swap'),
    ISWAP: listed('iswap'),
    ISWAPDG: listed('iswapdg'),
    DCX: listed('dcx'),
    DCXDG: listed('dcxdg'),
    ECR: listed('ecr'),
    RXX: listed('rxx'),
    RYY: listed('ryy'),
    RZZ: listed('rzz'),
    RZX: listed('rzx'),
    XXPLUSYY: listed('xx_plus_yy'),
    XXMINUSYY: listed('xx_minus_yy'),
    CX: listed('x', 1),
    CNOT: listed('x', 1),
    CY: listed('y', 1),
    CZ: listed('z', 1),
    CH: listed('h', 1),
    CS: listed('s', 1),
    CSDG: listed('sdg', 1),
    CT: listed('t', 1),
    CSX: listed('sx', 1),
    CP: listed('p', 1),
    CPHASE: listed('p', 1),
    CU1: listed('p', 1),
    CU3: listed('u', 1),
    CRX: listed('rx', 1),
    CRY: listed('ry', 1),
    CRZ: listed('rz', 1),
    CSWAP: listed('swap', 1),
    FREDKIN: listed('swap', 1),
    CCX: listed('x', 2),
    TOFFOLI: listed('x', 2),
    CCNOT: listed('x', 2),
    CCZ: listed('z', 2),
    C3X: listed('x', 3),
    C4X: listed('x', 4),
    C3SX: listed('sx', 3),
    MCX: listed('x', 1, { anyControls: true }),
    MCY: listed('y', 1, { anyControls: true }),
    MCZ: listed('z', 1, { anyControls: true }),
    MCP: listed('p', 1, { anyControls: true }),
    MCPHASE: listed('p', 1, { anyControls: true }),
    MCRX: listed('rx', 1, { anyControls: true }),
    MCRY: listed('ry', 1, { anyControls: true }),
    MCRZ: listed('rz', 1, { anyControls: true }),
  }),
);

/** What a list may hold besides gates. */
export const otherTypes = ['UNITARY', 'MEASURE', 'RESET', 'BARRIER', 'IF'] as const;

export const normalName = (type: string): string => type.toUpperCase().replace(/[_-]/g, '');
