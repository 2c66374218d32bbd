import type { Circuit } from '../../circuit/circuit.ts';
import { standardGates } from './standard.ts';

const reserved = new Set([
  ...standardGates.keys(),
  ...'OPENQASM include qreg creg gate opaque measure reset barrier if U CX gphase input output const let def extern return'.split(
    ' ',
  ),
  ...'for while switch case default in else break continue end box delay nop cal defcal defcalgrammar pragma'.split(
    ' ',
  ),
  ...'int uint float angle bool bit qubit complex array duration stretch readonly mutable void durationof'.split(' '),
  ...'inv pow ctrl negctrl true false im pi tau euler sin cos tan exp ln log sqrt asin acos atan'.split(' '),
  ...'arcsin arccos arctan abs ceiling floor mod popcount rotl rotr sizeof real imag iswapdg dcxdg ccp'.split(' '),
]);

/** What a program calls the qubits and bits of a circuit. */
export class Wires {
  readonly qubits: string;
  readonly registers: readonly { readonly name: string; readonly bits: readonly number[] }[];
  readonly #bits: readonly string[];

  constructor(circuit: Circuit) {
    const taken = new Set<string>();
    let first = 0;
    this.registers = circuit.registers.map(({ name, size }) => {
      const bits = Array.from({ length: size }, (_, at) => first + at);
      first += size;
      return { name: freeName(name, taken), bits };
    });
    this.qubits = freeName('q', taken);
    this.#bits = this.registers.flatMap(({ name, bits }) => bits.map((_, at) => `${name}[${at}]`));
  }

  qubit(qubit: number): string {
    return `${this.qubits}[${qubit}]`;
  }

  bit(bit: number): string {
    return this.#bits[bit] ?? '';
  }

  /** The register that these bits are, in its order. */
  registerOf(bits: readonly number[]): string | undefined {
    return this.registers.find(
      (register) => register.bits.length === bits.length && register.bits.every((bit, at) => bit === bits[at]),
    )?.name;
  }
}

/** A name that both versions allow. */
function freeName(wanted: string, taken: Set<string>): string {
  const plain = /^[a-z][A-Za-z0-9_]*$/.test(wanted) && !reserved.has(wanted) ? wanted : 'c';
  let name = plain;
  for (let more = 1; taken.has(name); more += 1) name = `${plain}_${more}`;
  taken.add(name);
  return name;
}
