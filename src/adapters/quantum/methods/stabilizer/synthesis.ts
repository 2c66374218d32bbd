/** A signed product of Pauli matrices over a few qubits, a bit for each: both bits are Y. */
export interface Pauli {
  x: number;
  z: number;
  /** 1 for a minus. */
  sign: 0 | 1;
}

/** What tableaus and frames do: every Clifford gate is made of these. `b` is the target of `cx`, otherwise unused. */
export interface Step {
  readonly name: 'h' | 's' | 'sdg' | 'x' | 'z' | 'cx';
  readonly a: number;
  readonly b: number;
}

/** The Pauli product that `step · pauli · step†` is. */
function conjugate({ x, z, sign }: Pauli, { name, a, b }: Step): Pauli {
  const xa = (x >> a) & 1;
  const za = (z >> a) & 1;
  const flipped = (by: number): 0 | 1 => (sign ^ by ? 1 : 0);
  switch (name) {
    case 'h':
      return { x: x ^ ((xa ^ za) << a), z: z ^ ((xa ^ za) << a), sign: flipped(xa & za) };
    case 's':
      return { x, z: z ^ (xa << a), sign: flipped(xa & za) };
    case 'sdg':
      return { x, z: z ^ (xa << a), sign: flipped(xa & (za ^ 1)) };
    case 'x':
      return { x, z, sign: flipped(za) };
    case 'z':
      return { x, z, sign: flipped(xa) };
    case 'cx': {
      const xb = (x >> b) & 1;
      const zb = (z >> b) & 1;
      return { x: x ^ (xa << b), z: z ^ (zb << a), sign: flipped(xa & zb & (xb ^ za ^ 1)) };
    }
  }
}

/**
 * The gate that takes each X and each Z to its image, as steps.
 *
 * The images are brought back to what they are images of, qubit by qubit; that backwards is the gate. After Koenig & Smolin,
 * doi:10.1063/1.4903507.
 */
export function reduceToSteps(images: readonly { x: Pauli; z: Pauli }[]): readonly Step[] {
  const rows = images.map(({ x, z }) => ({ x, z }));
  const done: Step[] = [];
  const take = (name: Step['name'], a: number, b = a): void => {
    const step = { name, a, b };
    done.push(step);
    for (const row of rows) {
      row.x = conjugate(row.x, step);
      row.z = conjugate(row.z, step);
    }
  };
  rows.forEach((row, qubit) => {
    toSingleX(() => row.x, qubit, images.length, take);
    if (row.z.x === 0 && row.z.z === 1 << qubit) return;
    // X and Z change places, and what follows leaves the Z alone.
    take('h', qubit);
    toSingleX(() => row.z, qubit, images.length, take);
    take('h', qubit);
  });
  const signs = rows.flatMap(({ x, z }, a): Step[] => [
    ...(x.sign === 1 ? [{ name: 'z' as const, a, b: a }] : []),
    ...(z.sign === 1 ? [{ name: 'x' as const, a, b: a }] : []),
  ]);
  return [...signs, ...done.reverse().map(inverseOf)];
}

/** Steps after which the row is X at the qubit, up to its sign. Qubits below are clear of it already. */
function toSingleX(
  row: () => Pauli,
  qubit: number,
  qubits: number,
  take: (name: Step['name'], a: number, b?: number) => void,
): void {
  for (let at = qubit; at < qubits; at += 1) if ((row().z >> at) & 1) take((row().x >> at) & 1 ? 's' : 'h', at);
  let pivot = qubit;
  while (((row().x >> pivot) & 1) === 0) pivot += 1;
  for (let at = pivot + 1; at < qubits; at += 1) if ((row().x >> at) & 1) take('cx', pivot, at);
  if (pivot === qubit) return;
  take('cx', pivot, qubit);
  take('cx', qubit, pivot);
}

const inverseOf = (step: Step): Step =>
  step.name === 's' ? { ...step, name: 'sdg' } : step.name === 'sdg' ? { ...step, name: 's' } : step;
