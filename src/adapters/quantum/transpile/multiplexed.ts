import { type GateOperation, gateOn } from '../circuit/circuit.ts';
import { gateNamed } from '../circuit/gates.ts';
import { cx } from './kak.ts';
import { isZero } from './single.ts';

/**
 * A rotation of the target whose angle depends on the controls, by as many `cx` as there are angles. Exact.
 * Source: Möttönen et al., doi:10.1103/PhysRevLett.93.130502.
 * @param angles one for each value of the controls, of which the first is the least significant bit; `2^controls.length` of them
 */
export function multiplexed(
  name: 'ry' | 'rz',
  angles: readonly number[],
  controls: readonly number[],
  target: number,
): GateOperation[] {
  const turn = (angle: number): GateOperation[] =>
    isZero(angle / 2) ? [] : [gateOn(gateNamed(name, angle), [target])];
  if (controls.length === 0) return turn(angles[0] ?? 0);
  const parts = spread(angles);
  return parts.flatMap((_, at) => {
    const gray = at ^ (at >> 1);
    const next = (at + 1) % parts.length;
    const changed = gray ^ next ^ (next >> 1);
    return [...turn(parts[gray] ?? 0), cx(controls[Math.log2(changed)] ?? 0, target)];
  });
}

/** The angles that add up to the given ones where each is negated by the controls that its number has in common with theirs: a Walsh–Hadamard transform. */
function spread(angles: readonly number[]): number[] {
  let parts = angles.map((angle) => angle / angles.length);
  for (let bit = 1; bit < angles.length; bit *= 2)
    parts = parts.map((part, at) =>
      (at & bit) === 0 ? part + (parts[at | bit] ?? 0) : (parts[at & ~bit] ?? 0) - part,
    );
  return parts;
}
