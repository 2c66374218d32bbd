import type { NamedGate } from '../../circuit/gates.ts';

/** Gates that neither standard file has, by those that both have. Right to the phase, as they may get controls. */
interface Definition {
  /** In the order of the alphabet, as Qiskit's importer takes them in that order. */
  readonly params?: string;
  readonly qubits: string;
  readonly body: string;
  /** Definitions that it needs. */
  readonly needs?: readonly string[];
}

const definitions = {
  sxdg: { qubits: 'a', body: 's a; h a; s a;' },
  ryy: {
    params: 'p0',
    qubits: 'a, b',
    body: 'rx(pi/2) a; rx(pi/2) b; cx a, b; rz(p0) b; cx a, b; rx(-pi/2) a; rx(-pi/2) b;',
  },
  rxx: { params: 'p0', qubits: 'a, b', body: 'h a; h b; cx a, b; rz(p0) b; cx a, b; h a; h b;' },
  rzz: { params: 'p0', qubits: 'a, b', body: 'cx a, b; rz(p0) b; cx a, b;' },
  rzx: { params: 'p0', qubits: 'a, b', body: 'h b; cx a, b; rz(p0) b; cx a, b; h b;' },
  iswap: { qubits: 'a, b', body: 's a; s b; h a; cx a, b; cx b, a; h b;' },
  iswapdg: { qubits: 'a, b', body: 'h b; cx b, a; cx a, b; h a; sdg b; sdg a;' },
  dcx: { qubits: 'a, b', body: 'cx a, b; cx b, a;' },
  dcxdg: { qubits: 'a, b', body: 'cx b, a; cx a, b;' },
  ecr: { qubits: 'a, b', body: 'rzx(pi/4) a, b; x a; rzx(-pi/4) a, b;', needs: ['rzx'] },
  r: { params: 'p0, p1', qubits: 'a', body: 'rz(-p1) a; rx(p0) a; rz(p1) a;' },
  // An iswap-like rotation is one about XX and one about YY.
  xx_plus_yy: {
    params: 'p0, p1',
    qubits: 'a, b',
    body: 'rz(p1) a; rxx(p0/2) a, b; ryy(p0/2) a, b; rz(-p1) a;',
    needs: ['rxx', 'ryy'],
  },
  xx_minus_yy: {
    params: 'p0, p1',
    qubits: 'a, b',
    body: 'rz(-p1) a; rxx(p0/2) a, b; ryy(-p0/2) a, b; rz(p1) a;',
    needs: ['rxx', 'ryy'],
  },
  ccz: { qubits: 'a, b, c', body: 'h c; ccx a, b, c; h c;' },
  ccp: {
    params: 'p0',
    qubits: 'a, b, c',
    body: 'cu1(p0/2) b, c; cx a, b; cu1(-p0/2) b, c; cx a, b; cu1(p0/2) a, c;',
  },
} as const satisfies Partial<Record<NamedGate | 'ccz' | 'ccp', Definition>>;
export type Defined = keyof typeof definitions;

export const isDefined = (name: string): name is Defined => Object.hasOwn(definitions, name);

/** The definitions of these gates and of those that they need, each once and before it is used. @param known names that need none */
export function definitionsOf(names: Iterable<string>, known: ReadonlySet<string>): string[] {
  const lines = new Map<string, string>();
  const add = (name: string): void => {
    if (!isDefined(name) || known.has(name) || lines.has(name)) return;
    const { params, qubits, body, needs = [] }: Definition = definitions[name];
    needs.forEach(add);
    lines.set(name, `gate ${name}${params === undefined ? '' : `(${params})`} ${qubits} { ${body} }`);
  };
  for (const name of names) add(name);
  return [...lines.values()];
}
