import type { Circuit, Control, Expression, GateOperation, Operation } from '../../circuit/circuit.ts';
import type { Gate } from '../../circuit/gates.ts';
import { definitionsOf } from './definitions.ts';
import { anglesOf, callText } from './gate-text.ts';
import { angleText } from './numbers.ts';
import { Wires } from './wires.ts';

/** Names in `stdgates.inc` of gates with that many controls. */
const controlledNames: Readonly<Record<string, readonly (string | undefined)[] | undefined>> = {
  x: ['x', 'cx', 'ccx'],
  y: ['y', 'cy'],
  z: ['z', 'cz'],
  h: ['h', 'ch'],
  rx: ['rx', 'crx'],
  ry: ['ry', 'cry'],
  rz: ['rz', 'crz'],
  p: ['p', 'cp'],
  swap: ['swap', 'cswap'],
};
const inverted: Readonly<Record<string, string | undefined>> = { sxdg: 'sx', iswapdg: 'iswap', dcxdg: 'dcx' };

class Writer {
  readonly wires: Wires;
  readonly used = new Set<string>();
  /** Names of bits that are compared together, but stand apart. */
  readonly aliases = new Map<string, string>();
  readonly #qubits: number;

  constructor(circuit: Circuit) {
    this.wires = new Wires(circuit);
    this.#qubits = circuit.qubits;
  }

  lines(operations: readonly Operation[], indent: string): string[] {
    return operations.flatMap((operation) => this.#lines(operation)).map((line) => `${indent}${line}`);
  }

  #lines(operation: Operation): string[] {
    switch (operation.kind) {
      case 'gate':
        return this.#gate(operation);
      case 'measure':
        return [`${this.wires.bit(operation.bit)} = measure ${this.wires.qubit(operation.qubit)};`];
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
      case 'branch': {
        const { condition, body, otherwise } = operation;
        const other = otherwise.length === 0 ? ['}'] : ['} else {', ...this.lines(otherwise, '  '), '}'];
        return [`if (${this.#condition(condition)}) {`, ...this.lines(body, '  '), ...other];
      }
      case 'loop':
        return [`while (${this.#condition(operation.condition)}) {`, ...this.lines(operation.body, '  '), '}'];
    }
  }

  #gate({ gate, targets, controls }: GateOperation): string[] {
    const angles = oneQubitAngles(gate);
    if (angles !== undefined) return this.#oneQubit(angles, targets, controls);
    const last = controls.at(-1);
    // The phase of a control is the phase of that qubit.
    if (gate.name === 'gphase' && last?.value === 1)
      return this.#gate({
        kind: 'gate',
        gate: { name: 'p', params: gate.params },
        targets: [last.qubit],
        controls: controls.slice(0, -1),
      });
    const on = [...controls.map(({ qubit }) => qubit), ...targets].map((qubit) => this.wires.qubit(qubit));
    const isPlain = controls.every(({ value }) => value === 1);
    const named = isPlain ? controlledNames[gate.name]?.[controls.length] : undefined;
    if (named !== undefined) return [callText(named, gate.params, on)];
    if (gate.name === 'gphase' && on.length === 0) return [`gphase(${angleText(gate.params[0] ?? 0)});`];
    const base = inverted[gate.name] ?? gate.name;
    this.used.add(base);
    const prefix = `${modifiers(controls)}${base === gate.name ? '' : 'inv @ '}`;
    return [`${prefix}${callText(base, gate.params, on)}`];
  }

  /** `U` of version 3 has a phase of its own, which a control shows: `cu` has none. */
  #oneQubit(
    [theta, phi, lambda, gamma]: readonly number[],
    targets: readonly number[],
    controls: readonly Control[],
  ): string[] {
    const on = [...controls.map(({ qubit }) => qubit), ...targets].map((qubit) => this.wires.qubit(qubit));
    const angles = [theta ?? 0, phi ?? 0, lambda ?? 0];
    const last = controls.at(-1);
    if (last === undefined) return [callText('U', angles, on)];
    const flip = last.value === 1 ? [] : [callText('x', [], [this.wires.qubit(last.qubit)])];
    return [...flip, `${modifiers(controls.slice(0, -1))}${callText('cu', [...angles, gamma ?? 0], on)}`, ...flip];
  }

  #condition(expression: Expression): string {
    if (expression.kind === 'bits' && expression.bits.length !== 1) return `${this.#bits(expression.bits)} != 0`;
    return this.#expression(expression);
  }

  #expression(expression: Expression): string {
    switch (expression.kind) {
      case 'integer':
        return String(expression.value);
      case 'bits':
        return this.#bits(expression.bits);
      case 'not':
        return `!(${this.#condition(expression.of)})`;
      case 'binary': {
        const isLogic = expression.operator === '&&' || expression.operator === '||';
        const side = (of: Expression): string => {
          const text = isLogic ? this.#condition(of) : this.#expression(of);
          return of.kind === 'binary' || (isLogic && of.kind === 'bits') ? `(${text})` : text;
        };
        return `${side(expression.left)} ${expression.operator} ${side(expression.right)}`;
      }
    }
  }

  #bits(bits: readonly number[]): string {
    const register = this.wires.registerOf(bits);
    const [only = 0] = bits;
    if (bits.length === 1) return this.wires.bit(only);
    if (register !== undefined) return register;
    const joined = bits.map((bit) => this.wires.bit(bit)).join(' ++ ');
    const alias = this.aliases.get(joined) ?? `bits_${this.aliases.size}`;
    this.aliases.set(joined, alias);
    return alias;
  }
}

function oneQubitAngles(gate: Gate): readonly number[] | undefined {
  if (gate.name === 'u') return [...gate.params, 0];
  return gate.name === 'unitary' ? anglesOf(gate.matrix) : undefined;
}

/** `ctrl @ negctrl(2) @ ` for controls in this order. */
function modifiers(controls: readonly Control[]): string {
  const runs: { value: 0 | 1; count: number }[] = [];
  for (const { value } of controls) {
    const last = runs.at(-1);
    if (last?.value === value) last.count += 1;
    else runs.push({ value, count: 1 });
  }
  return runs
    .map(({ value, count }) => `${value === 1 ? 'ctrl' : 'negctrl'}${count === 1 ? '' : `(${count})`} @ `)
    .join('');
}

/** The same in OpenQASM 3.0 with `stdgates.inc`. @throws StepError UNSUPPORTED_GATE for matrices of two and more qubits */
export function toQasm3(circuit: Circuit): string {
  const writer = new Writer(circuit);
  const lines = writer.lines(circuit.operations, '');
  return [
    'OPENQASM 3.0;',
    'include "stdgates.inc";',
    ...definitionsOf(writer.used, new Set()),
    `qubit[${circuit.qubits}] ${writer.wires.qubits};`,
    ...writer.wires.registers.map(({ name, bits }) => `bit[${bits.length}] ${name};`),
    ...[...writer.aliases].map(([joined, alias]) => `let ${alias} = ${joined};`),
    ...lines,
    '',
  ].join('\n');
}
