import { Amplitudes, type Levels, levelsOf } from './amplitudes.ts';
import type { Ansatz, AnsatzGate } from './ansatz/ansatz.ts';
import type { Observable } from './hamiltonian/observable.ts';

/** The energy of an ansatz as a function of its parameters, exactly. Its memory is taken once and used again. */
export class Energy {
  readonly #ansatz: Ansatz;
  readonly #observable: Observable;
  readonly #levels: Levels | undefined;
  readonly #state: Amplitudes;
  readonly #other: Amplitudes;

  constructor(ansatz: Ansatz, observable: Observable) {
    this.#ansatz = ansatz;
    this.#observable = observable;
    this.#levels = ansatz.gates.some(({ kind }) => kind === 'cost') ? levelsOf(observable.diagonal) : undefined;
    this.#state = new Amplitudes(ansatz.qubits);
    this.#other = new Amplitudes(ansatz.qubits);
  }

  at(parameters: readonly number[]): number {
    return this.#observable.expectation(this.stateAt(parameters), this.#other);
  }

  /** Valid until the next call of anything here. */
  stateAt(parameters: readonly number[]): Amplitudes {
    this.#state.reset(this.#ansatz.start);
    for (const gate of this.#ansatz.gates) this.#apply(this.#state, gate, angleOf(gate, parameters));
    return this.#state;
  }

  /**
   * With the derivative by each parameter, for the price of about three evaluations: the adjoint method (Jones & Gacon, arXiv:2009.02823).
   * `H|ψ⟩` and `|ψ⟩` are taken back gate by gate; between them stands each gate's generator.
   */
  gradientAt(parameters: readonly number[]): { readonly energy: number; readonly gradient: number[] } {
    const state = this.stateAt(parameters);
    const left = this.#other;
    const energy = this.#observable.apply(state, left);
    const gradient = parameters.map(() => 0);
    const { gates } = this.#ansatz;
    const first = gates.findIndex((gate) => gate.angle.scale !== 0);
    for (let at = gates.length - 1; first >= 0 && at >= first; at -= 1) {
      const gate = gates[at] as AnsatzGate;
      const { scale, parameter } = gate.angle;
      if (scale !== 0) gradient[parameter] = (gradient[parameter] ?? 0) + scale * this.#derivative(left, state, gate);
      if (at === first) break;
      const angle = -angleOf(gate, parameters);
      this.#apply(state, gate, angle);
      this.#apply(left, gate, angle);
    }
    return { energy, gradient };
  }

  #apply(state: Amplitudes, gate: AnsatzGate, angle: number): void {
    if (gate.kind === 'rotation') state.rotate(gate.pauli, angle);
    else if (this.#levels !== undefined) state.turnLevels(this.#levels, angle);
  }

  /** `2·Re⟨left|−iG|state⟩` for a gate `exp(−i·angle·G)`. */
  #derivative(left: Amplitudes, state: Amplitudes, gate: AnsatzGate): number {
    if (gate.kind === 'rotation') return state.imaginaryOf(left, gate.pauli);
    return this.#levels === undefined ? 0 : 2 * state.imaginaryOfLevels(left, this.#levels);
  }
}

const angleOf = ({ angle: { offset, scale, parameter } }: AnsatzGate, parameters: readonly number[]): number =>
  offset + scale * (parameters[parameter] ?? 0);
