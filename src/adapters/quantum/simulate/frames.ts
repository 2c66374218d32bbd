import type { FrameCircuit, FrameOperation } from '../methods/stabilizer/frame-program.ts';
import { FrameSampler } from '../methods/stabilizer/frame-sampler.ts';
import type { Program, Step } from './program.ts';
import type { Random } from './random.ts';

/**
 * Shots of a program of Clifford gates with Pauli errors, measurements and resets, all at once rather than path by path.
 *
 * @returns undefined where the program has something else, such as a loop or other gates under a condition; else as `State.sample` does, for
 * all bits
 */
export function sampleFrames(program: Program, shots: number, random: Random): Map<string, number> | undefined {
  const operations = [...program.steps, ...program.readouts].map(operationOf);
  const known = operations.filter((operation) => operation !== undefined);
  if (known.length < operations.length) return undefined;
  const circuit: FrameCircuit = { qubits: program.qubits, bits: program.bits, operations: known };
  return new FrameSampler(circuit).sample(shots, random);
}

function operationOf(step: Step): FrameOperation | undefined {
  switch (step.kind) {
    case 'gate':
    case 'measure':
    case 'reset':
      return step;
    case 'noise': {
      const terms = step.form.cases.flatMap(({ letters, weight }) =>
        letters === undefined ? [] : [{ letters, probability: weight[0]?.coefficient ?? 0 }],
      );
      const errors = terms.filter(({ letters }) => /[XYZ]/.test(letters));
      return terms.length < step.form.cases.length ? undefined : { kind: 'pauli', qubits: step.qubits, terms: errors };
    }
    case 'branch': {
      const gates = (body: readonly Step[]) => body.filter((inner) => inner.kind === 'gate');
      const [body, otherwise] = [gates(step.body), gates(step.otherwise)];
      const arePaulis = [...body, ...otherwise].every(
        ({ gate, controls }) => controls.length === 0 && ['id', 'x', 'y', 'z', 'gphase'].includes(gate.name),
      );
      const areGates = body.length === step.body.length && otherwise.length === step.otherwise.length;
      return arePaulis && areGates ? { kind: 'branch', condition: step.condition, body, otherwise } : undefined;
    }
    case 'loop':
      return undefined;
  }
}
