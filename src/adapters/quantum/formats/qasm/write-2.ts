import { StepError } from '../../../../lib/errors.ts';
import type { Circuit, Expression, GateOperation, Operation } from '../../circuit/circuit.ts';
import { matrixOf } from '../../circuit/gates.ts';
import { definitionsOf, isDefined } from './definitions.ts';
import { anglesOf, callText, phaseOf } from './gate-text.ts';
import { Wires } from './wires.ts';

/** Names in `qelib1.inc`, by the number of controls. */
const names: Readonly<Record<string, readonly (string | undefined)[] | undefined>> = {
  id: ['id'],
  x: ['x', 'cx', 'ccx', 'c3x', 'c4x'],
  y: ['y', 'cy'],
  z: ['z', 'cz', 'ccz'],
  h: ['h', 'ch'],
  s: ['s'],
  sdg: ['sdg'],
  t: ['t'],
  tdg: ['tdg'],
  sx: ['sx', 'csx', undefined, 'c3sqrtx'],
  sxdg: ['sxdg'],
  rx: ['rx', 'crx'],
  ry: ['ry', 'cry'],
  rz: ['rz', 'crz'],
  p: ['u1', 'cu1'],
  u: ['u3', 'cu3'],
  swap: ['swap', 'cswap'],
  rxx: ['rxx'],
  rzz: ['rzz'],
};
const known = new Set(['sxdg', 'rxx', 'rzz']);

const refuse = (what: string): StepError =>
  new StepError('UNSUPPORTED_GATE', `OpenQASM 2 can not say ${what}: OpenQASM 3 can`);

/** The circuit without its header, and the gates that need a definition. */
class Writer {
  readonly wires: Wires;
  readonly used = new Set<string>();
  readonly #qubits: number;

  constructor(circuit: Circuit) {
    this.wires = new Wires(circuit);
    this.#qubits = circuit.qubits;
  }

  lines(operation: Operation): string[] {
    switch (operation.kind) {
      case 'gate':
        return this.#gate(operation);
      case 'measure':
        return [`measure ${this.wires.qubit(operation.qubit)} -> ${this.wires.bit(operation.bit)};`];
      case 'reset':
        return [`reset ${this.wires.qubit(operation.qubit)};`];
      case 'barrier': {
        // One over nothing holds nothing apart.
        if (operation.qubits.length === 0) return [];
        const all = operation.qubits.length === this.#qubits;
        return [
          `barrier ${all ? this.wires.qubits : operation.qubits.map((qubit) => this.wires.qubit(qubit)).join(', ')};`,
        ];
      }
      case 'branch':
        return this.#branch(operation);
      case 'loop':
        throw refuse('loops');
    }
  }

  #gate({ gate, targets, controls }: GateOperation): string[] {
    const flipped = controls
      .filter(({ value }) => value === 0)
      .map(({ qubit }) => callText('x', [], [this.wires.qubit(qubit)]));
    const on = [...controls.map(({ qubit }) => qubit), ...targets].map((qubit) => this.wires.qubit(qubit));
    return [...flipped, ...this.#plain(gate, on, controls.length), ...flipped];
  }

  /** @param on controls, then targets */
  #plain(gate: GateOperation['gate'], on: readonly string[], controls: number): string[] {
    if (gate.name === 'gphase') {
      // Of the whole nothing shows; of a control it is that qubit's phase.
      if (controls === 0) return [];
      return this.#plain({ name: 'p', params: gate.params }, on, controls - 1);
    }
    if (gate.name === 'id' && controls > 0) return [];
    const name = names[gate.name]?.[controls];
    if (name !== undefined) return [this.#call(name, gate.params, on)];
    const phase = phaseOf(gate);
    if (phase !== undefined && controls <= 2) return [this.#call(controls === 1 ? 'cu1' : 'ccp', [phase], on)];
    if (controls === 0 && isDefined(gate.name)) return [this.#call(gate.name, gate.params, on)];
    if (on.length - controls === 1 && controls <= 1) {
      const [theta, phi, lambda, gamma] = anglesOf(matrixOf(gate));
      return [
        controls === 0 ? callText('u3', [theta, phi, lambda], on) : callText('cu', [theta, phi, lambda, gamma], on),
      ];
    }
    if (gate.name === 'unitary') anglesOf(gate.matrix);
    throw refuse(`${gate.name} with ${controls} control${controls === 1 ? '' : 's'}`);
  }

  #call(name: string, params: readonly number[], on: readonly string[]): string {
    this.used.add(name);
    return callText(name, params, on);
  }

  #branch({ condition, body, otherwise }: Operation & { kind: 'branch' }): string[] {
    if (otherwise.length > 0) throw refuse('else');
    const { register, bits, value } = this.#comparison(condition);
    // Each line has the condition, so what it is must not change before the last.
    const changed = body.slice(0, -1).some((operation) => operation.kind === 'measure' && bits.includes(operation.bit));
    if (changed) throw refuse('a branch that measures the bits of its own condition and goes on');
    return body.flatMap((operation) => {
      if (operation.kind === 'branch') throw refuse('a branch within a branch');
      if (operation.kind === 'barrier') return [];
      return this.lines(operation).map((line) => `if (${register} == ${value}) ${line}`);
    });
  }

  #comparison(condition: Expression): { register: string; bits: readonly number[]; value: bigint } {
    const isEqual = condition.kind === 'binary' && condition.operator === '==' && condition.right.kind === 'integer';
    const of = isEqual ? condition.left : condition.kind === 'not' ? condition.of : condition;
    const bits = of.kind === 'bits' ? of.bits : [];
    const register = this.wires.registerOf(bits);
    const value =
      isEqual && condition.right.kind === 'integer' ? condition.right.value : condition.kind === 'not' ? 0n : 1n;
    const isPlain = isEqual || bits.length === 1 || condition.kind === 'not';
    if (register === undefined || !isPlain || value < 0n)
      throw refuse('a condition that does not compare a whole register with a number');
    return { register, bits, value };
  }
}

/**
 * The circuit as OpenQASM 2.0 with `qelib1.inc`; gates that it has not are defined. Angles are fractions of pi where that is exact. Read again it
 * does the same, but for a phase of the whole.
 *
 * @throws StepError UNSUPPORTED_GATE for what version 2 can't say: loops, else, conditions other than a whole register's value, gates with
 *   more controls than it has names for, matrices of two and more qubits
 */
export function toQasm2(circuit: Circuit): string {
  const writer = new Writer(circuit);
  const lines = circuit.operations.flatMap((operation) => writer.lines(operation));
  return [
    'OPENQASM 2.0;',
    'include "qelib1.inc";',
    ...definitionsOf(writer.used, known),
    `qreg ${writer.wires.qubits}[${circuit.qubits}];`,
    ...writer.wires.registers.map(({ name, bits }) => `creg ${name}[${bits.length}];`),
    ...lines,
    '',
  ].join('\n');
}
