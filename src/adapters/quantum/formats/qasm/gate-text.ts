import { StepError } from '../../../../lib/errors.ts';
import type { Matrix } from '../../circuit/complex.ts';
import type { Gate } from '../../circuit/gates.ts';
import { angleText } from './numbers.ts';

/** `name(params) qubits;` */
export const callText = (name: string, params: readonly number[], qubits: readonly string[]): string =>
  `${name}${params.length === 0 ? '' : `(${params.map(angleText).join(', ')})`} ${qubits.join(', ')};`;

const phases: Readonly<Record<string, number | undefined>> = {
  z: Math.PI,
  s: Math.PI / 2,
  sdg: -Math.PI / 2,
  t: Math.PI / 4,
  tdg: -Math.PI / 4,
};

/** The angle by which the gate turns the phase of |1⟩, if that is all it does. */
export const phaseOf = ({ name, params }: Gate): number | undefined =>
  name === 'p' ? params[0] : Object.hasOwn(phases, name) ? phases[name] : undefined;

/** A unitary of one qubit as `e^{iγ}·u(θ, φ, λ)`: [θ, φ, λ, γ]. @throws StepError UNSUPPORTED_GATE for more qubits */
export function anglesOf({ dimension, data }: Matrix): [number, number, number, number] {
  if (dimension !== 2)
    throw new StepError(
      'UNSUPPORTED_GATE',
      `OpenQASM has no matrices, so a unitary of ${Math.log2(dimension)} qubits can not be written: write it as gates`,
    );
  const [aRe = 0, aIm = 0, bRe = 0, bIm = 0, cRe = 0, cIm = 0, dRe = 0, dIm = 0] = data;
  const [cos, sin] = [Math.hypot(aRe, aIm), Math.hypot(cRe, cIm)];
  const theta = 2 * Math.atan2(sin, cos);
  if (sin < 1e-15) {
    const gamma = Math.atan2(aIm, aRe);
    return [0, 0, Math.atan2(dIm, dRe) - gamma, gamma];
  }
  if (cos < 1e-15) {
    // u has e^{iφ} below and -e^{iλ} above the diagonal.
    const gamma = Math.atan2(-bIm, -bRe);
    return [Math.PI, Math.atan2(cIm, cRe) - gamma, 0, gamma];
  }
  const gamma = Math.atan2(aIm, aRe);
  return [theta, Math.atan2(cIm, cRe) - gamma, Math.atan2(-bIm, -bRe) - gamma, gamma];
}
