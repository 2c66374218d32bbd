import { bitsRead } from '../circuit/wires.ts';
import { type Program, qubitsOf, renumber, type Step } from './program.ts';

/** Qubits and bits that no step connects with others, with a program over them alone, numbered from 0 in the same order. */
export interface Part {
  readonly qubits: readonly number[];
  readonly bits: readonly number[];
  readonly program: Program;
}

/**
 * The independent parts of a program, which may be simulated apart. Qubits that nothing acts on or looks at are in none.
 * @param together sets of qubits that are looked at together at the end
 */
export function partsOf(program: Program, together: readonly (readonly number[])[]): Part[] {
  const groups = new Groups(program.qubits + program.bits);
  const bit = (at: number): number => program.qubits + at;
  for (const qubits of together) groups.unite(qubits);
  for (const { qubit, bit: to } of program.readouts) groups.unite([qubit, bit(to)]);
  const firsts = program.steps.map((step) => groups.unite(connected(step, bit)));
  const members = groups.members();
  const stepsOf = new Map<number, Step[]>();
  for (const [at, step] of program.steps.entries()) {
    const root = groups.rootOf(firsts[at] ?? 0);
    const steps = stepsOf.get(root);
    if (steps === undefined) stepsOf.set(root, [step]);
    else steps.push(step);
  }
  return [...members].map(([root, nodes]) => partOf(program, nodes, stepsOf.get(root) ?? []));
}

function partOf(program: Program, nodes: readonly number[], steps: readonly Step[]): Part {
  const qubits = nodes.filter((node) => node < program.qubits);
  const bits = nodes.filter((node) => node >= program.qubits).map((node) => node - program.qubits);
  const qubitAt = new Map(qubits.map((qubit, at) => [qubit, at]));
  const bitAt = new Map(bits.map((bit, at) => [bit, at]));
  const toQubit = (qubit: number): number => qubitAt.get(qubit) ?? 0;
  const toBit = (bit: number): number => bitAt.get(bit) ?? 0;
  const readouts = program.readouts
    .filter(({ qubit }) => qubitAt.has(qubit))
    .map((readout) => ({ ...readout, qubit: toQubit(readout.qubit), bit: toBit(readout.bit) }));
  // Conditions of bits alone need some state to run beside.
  const size = Math.max(1, qubits.length);
  return {
    qubits,
    bits,
    program: { qubits: size, bits: bits.length, steps: renumber(steps, toQubit, toBit), readouts },
  };
}

/** Everything that a step makes depend on each other. */
function connected(step: Step, bit: (at: number) => number): number[] {
  switch (step.kind) {
    case 'gate':
      return [...qubitsOf(step)];
    case 'measure':
      return [step.qubit, bit(step.bit)];
    case 'reset':
      return [step.qubit];
    case 'noise':
      return [...step.qubits];
    case 'branch':
      return [
        ...bitsRead(step.condition).map(bit),
        ...[...step.body, ...step.otherwise].flatMap((inner) => connected(inner, bit)),
      ];
    case 'loop':
      return [...bitsRead(step.condition).map(bit), ...step.body.flatMap((inner) => connected(inner, bit))];
  }
}

/** Disjoint sets of numbers, each number alone and unused to begin with. */
class Groups {
  private readonly parents: Int32Array;
  private readonly used: Uint8Array;

  constructor(size: number) {
    this.parents = Int32Array.from({ length: size }, (_, at) => at);
    this.used = new Uint8Array(size);
  }

  rootOf(at: number): number {
    let root = at;
    while (this.parents[root] !== root) root = this.parents[root] ?? root;
    for (let node = at; node !== root; ) {
      const next = this.parents[node] ?? root;
      this.parents[node] = root;
      node = next;
    }
    return root;
  }

  /** The smallest of them leads. @returns the first */
  unite(nodes: readonly number[]): number {
    const [first = 0] = nodes;
    for (const node of nodes) {
      this.used[node] = 1;
      const [a, b] = [this.rootOf(first), this.rootOf(node)];
      this.parents[Math.max(a, b)] = Math.min(a, b);
    }
    return first;
  }

  /** By root, in order. */
  members(): Map<number, number[]> {
    const members = new Map<number, number[]>();
    for (let at = 0; at < this.parents.length; at += 1) {
      if (this.used[at] !== 1) continue;
      const root = this.rootOf(at);
      const list = members.get(root);
      if (list === undefined) members.set(root, [at]);
      else list.push(at);
    }
    return members;
  }
}
