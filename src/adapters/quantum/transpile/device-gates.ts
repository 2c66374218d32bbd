import { type GateOperation, gateOn } from '../circuit/circuit.ts';
import type { Matrix } from '../circuit/complex.ts';
import { type Gate, gateNamed, matrixOf, unitary } from '../circuit/gates.ts';
import { cx, cz, czThrough, twoQubitUnitary } from './kak.ts';
import { writerFor } from './single.ts';
import { type Entangler, entanglerOf, type Target } from './target.ts';

const symmetric: ReadonlySet<string> = new Set(['cz', 'swap', 'rzz', 'rxx', 'ryy', 'iswap', 'iswapdg']);

/** The gates of a device, and how others are made of them, but for phases of the whole. */
export class DeviceGates {
  readonly #basis: ReadonlySet<string>;
  readonly #entangler: Entangler;
  readonly #pairs: ReadonlySet<string> | undefined;
  readonly #throughEcr: ReturnType<typeof czThrough>;
  readonly write: (of: Matrix) => Gate[];

  /** @throws StepError INVALID_PARAMS */
  constructor(target: Target) {
    this.#entangler = entanglerOf(target);
    this.#basis = new Set(target.basis);
    this.#pairs =
      target.coupling === undefined || target.directed === false
        ? undefined
        : new Set(target.coupling.map((pair) => pair.join()));
    this.#throughEcr = czThrough(gateNamed('ecr'));
    this.write = writerFor(this.#basis) ?? (() => []);
  }

  has(name: string): boolean {
    return this.#basis.has(name);
  }

  /** The gate as gates of one qubit and those of two that the device has, in the direction that it has them. */
  native(operation: GateOperation): GateOperation[] {
    const { gate, targets, controls } = operation;
    if (controls.length + targets.length < 2) return [operation];
    const [first = 0, second = 0] = [...controls.map(({ qubit }) => qubit), ...targets];
    const name = nameOf(operation);
    if (this.has(name) && (symmetric.has(name) || this.#goes(first, second)))
      return [this.#turned(operation, first, second)];
    const again = (parts: readonly GateOperation[]): GateOperation[] => parts.flatMap((part) => this.native(part));
    switch (name) {
      case 'cx':
        return again([h(second), cz(first, second), h(second)]);
      case 'cz':
        return this.#controlledZ(first, second);
      case 'swap':
        return again([cx(first, second), cx(second, first), cx(first, second)]);
      default:
        return again(twoQubitUnitary(matrixOf(gate), targets[0] ?? 0, targets[1] ?? 0));
    }
  }

  #goes(first: number, second: number): boolean {
    return this.#pairs === undefined || this.#pairs.has(`${first},${second}`);
  }

  /** A gate that is the same either way, the way that the device lists it. */
  #turned(operation: GateOperation, first: number, second: number): GateOperation {
    if (this.#goes(first, second) || !this.#goes(second, first)) return operation;
    return operation.controls.length > 0
      ? cz(second, first)
      : { ...operation, targets: operation.targets.toReversed() };
  }

  #controlledZ(first: number, second: number): GateOperation[] {
    const [from, to] = this.#goes(first, second) ? [first, second] : [second, first];
    switch (this.#entangler) {
      case 'cx':
        return [h(to), cx(from, to), h(to)];
      case 'ecr': {
        const { before, after } = this.#throughEcr;
        return [
          gateOn(unitary(before[0]), [from]),
          gateOn(unitary(before[1]), [to]),
          gateOn(gateNamed('ecr'), [from, to]),
          gateOn(unitary(after[0]), [from]),
          gateOn(unitary(after[1]), [to]),
        ];
      }
      case 'rzz': {
        const turn = gateNamed('rz', -Math.PI / 2);
        return [gateOn(gateNamed('rzz', Math.PI / 2), [from, to]), gateOn(turn, [from]), gateOn(turn, [to])];
      }
      case 'cz':
        return [cz(from, to)];
    }
  }
}

const h = (qubit: number): GateOperation => gateOn(gateNamed('h'), [qubit]);

/** As targets name it: `cx` and `cz` for an `x` and a `z` with a control. */
export function nameOf({ gate, controls }: GateOperation): string {
  return 'c'.repeat(controls.length) + gate.name;
}
