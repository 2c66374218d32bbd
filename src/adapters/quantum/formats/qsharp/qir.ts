import { StepError } from '../../../../lib/errors.ts';
import { type Circuit, type Control, gateOn, type Operation } from '../../circuit/circuit.ts';
import { gateNamed, type NamedGate, shapeOf } from '../../circuit/gates.ts';
import { type Decision, Decisions, expressionOf } from './decisions.ts';
import { integers, type Whole } from './integers.ts';

const operationsMax = 2_000_000;
const qubitsMax = 4096;
const bitsMax = 65_536;

/** Of QIR's quantum instruction set: the gate, and how many of its qubits, which are its first, are controls. */
const gates: ReadonlyMap<string, readonly [gate: NamedGate, controls: number]> = new Map<
  string,
  readonly [NamedGate, number]
>([
  ...(['x', 'y', 'z', 'h', 's', 't', 'sx', 'rx', 'ry', 'rz', 'swap', 'rxx', 'ryy', 'rzz'] as const).map(
    (name) => [`${name}__body`, [name, 0]] as const,
  ),
  ['s__adj', ['sdg', 0]],
  ['t__adj', ['tdg', 0]],
  ['sx__adj', ['sxdg', 0]],
  ['cnot__body', ['x', 1]],
  ['cx__body', ['x', 1]],
  ['cy__body', ['y', 1]],
  ['cz__body', ['z', 1]],
  ['ccx__body', ['x', 2]],
]);

type Known = { readonly kind: 'decision'; readonly of: Decision } | { readonly kind: 'whole'; readonly of: Whole };

const refuse = (line: string, why: string): StepError =>
  new StepError('QUANTUM_UNSUPPORTED', `Q#: ${why}, in the compiled program (QIR): ${line.trim().slice(0, 120)}`);

/**
 * A circuit from QIR's text as the Q# compiler writes it for the profiles `base` and `adaptive_ri`: blocks that lead onward only, results that are
 * each measured once. Blocks that measurements decide on become branches. Results that the program returns are the register `c`, the
 * first its bit 0; those that it only looks at are `m`. Source: the QIR specification, github.com/qir-alliance/qir-spec.
 *
 * @throws StepError UNSUPPORTED_GATE, QUANTUM_UNSUPPORTED, CIRCUIT_TOO_LARGE
 */
export function parseQir(text: string): Circuit {
  const body = /^define [^\n]*@ENTRYPOINT__main\(\)[^\n]*\{\n([\s\S]*?)^\}/m.exec(text)?.[1];
  if (body === undefined) throw new StepError('QUANTUM_UNSUPPORTED', 'Q#: the compiler gave no entry point');
  const number = (name: string): number => Number(new RegExp(`"${name}"="(\\d+)"`).exec(text)?.[1] ?? 0);
  const [qubits, results] = [number('required_num_qubits'), number('required_num_results')];
  if (qubits > qubitsMax || results > bitsMax)
    throw new StepError(
      'CIRCUIT_TOO_LARGE',
      `Q#: the program has ${qubits} qubits and ${results} results; ${qubitsMax} and ${bitsMax} are allowed`,
    );
  if (qubits === 0) throw new StepError('QUANTUM_UNSUPPORTED', 'Q#: the program uses no qubits');
  const lines = body.split('\n');
  const { registers, bits } = registersOf(lines, results);
  const reader = new Reader(bits);
  for (const line of lines) reader.line(line);
  return { qubits, registers, operations: reader.operations };
}

/** The bit of each result: those that are recorded come first, in the order in which they are. */
function registersOf(
  lines: readonly string[],
  results: number,
): { registers: Circuit['registers']; bits: readonly number[] } {
  const recorded = lines.flatMap((line) => {
    const id = /@__quantum__rt__result_record_output\(%Result\* (?:inttoptr \(i64 (\d+)|null)/.exec(line);
    return id === null ? [] : [Number(id[1] ?? 0)];
  });
  const order = [...new Set(recorded)].filter((id) => id < results);
  const others = Array.from({ length: results }, (_, id) => id).filter((id) => !order.includes(id));
  const bits = Array<number>(results);
  [...order, ...others].forEach((id, bit) => {
    bits[id] = bit;
  });
  const sized = [
    { name: 'c', size: order.length },
    { name: order.length === 0 ? 'c' : 'm', size: others.length },
  ];
  return { registers: sized.filter(({ size }) => size > 0), bits };
}

class Reader {
  readonly operations: Operation[] = [];
  readonly #bits: readonly number[];
  readonly #decisions = new Decisions();
  readonly #wholes = integers(this.#decisions);
  readonly #known = new Map<string, Known>();
  /** When each block is reached, and from each block before it. */
  readonly #reached = new Map<string, Decision>();
  readonly #edges = new Map<string, Decision>();
  readonly #measured = new Set<number>();
  #block = '';
  #when: Decision = true;
  /** Operations of the block that is read. */
  #body: Operation[] = this.operations;

  constructor(bits: readonly number[]) {
    this.#bits = bits;
  }

  line(line: string): void {
    const label = /^([\w.]+):/.exec(line)?.[1];
    if (label !== undefined) return this.#begin(label);
    const text = line.trim();
    if (text === '' || text.startsWith(';')) return;
    const assigned = /^(%[\w.]+) = (.*)$/.exec(text);
    if (assigned !== null) this.#known.set(assigned[1] ?? '', this.#value(assigned[2] ?? '', line));
    else if (text.startsWith('call ')) this.#call(text, line);
    else if (text.startsWith('br ')) this.#jump(text, line);
    else if (!text.startsWith('ret ')) throw refuse(line, 'an instruction that is not known here');
  }

  #begin(label: string): void {
    this.#when = this.#block === '' ? true : (this.#reached.get(label) ?? false);
    this.#block = label;
    this.#reached.set(label, this.#when);
    this.#body = this.#when === true ? this.operations : [];
  }

  #jump(text: string, line: string): void {
    const sure = /^br label %([\w.]+)$/.exec(text);
    if (sure !== null) return this.#edge(sure[1] ?? '', this.#when, line);
    const [, condition = '', one = '', zero = ''] = /^br i1 (\S+), label %([\w.]+), label %([\w.]+)$/.exec(text) ?? [];
    if (one === '') throw refuse(line, 'a jump that is not known here');
    const holds = this.#decision(condition, line);
    this.#edge(one, this.#decisions.and(this.#when, holds), line);
    this.#edge(zero, this.#decisions.and(this.#when, this.#decisions.not(holds)), line);
  }

  #edge(to: string, when: Decision, line: string): void {
    // A block that was read already would be run again: a loop.
    const isBehind = this.#done.has(to);
    if (isBehind || to === this.#block) throw refuse(line, 'a loop that measurements end is not supported');
    this.#done.add(this.#block);
    this.#edges.set(`${this.#block} ${to}`, when);
    this.#reached.set(to, this.#decisions.or(this.#reached.get(to) ?? false, when));
  }
  readonly #done = new Set<string>();

  #value(text: string, line: string): Known {
    const read = /^call i1 @__quantum__(?:rt__read_result|qis__read_result__body)\((.*)\)$/.exec(text);
    if (read !== null) return { kind: 'decision', of: this.#decisions.bit(this.#bit(idOf(read[1] ?? '', line))) };
    const phi = /^phi (i1|i64) (.*)$/.exec(text);
    if (phi !== null) return this.#phi(phi[1] === 'i1', phi[2] ?? '', line);
    const compared = /^icmp (\w+) (i1|i64) (\S+), (\S+)$/.exec(text);
    if (compared !== null) {
      const [, how = '', , left = '', right = ''] = compared;
      const of = this.#wholes.compare(how, this.#whole(left, line), this.#whole(right, line));
      if (of === undefined) throw refuse(line, 'a comparison that is not known here');
      return { kind: 'decision', of };
    }
    const selected = /^select i1 (\S+), (i1|i64) (\S+), (?:i1|i64) (\S+)$/.exec(text);
    if (selected !== null) {
      const [, condition = '', type, one = '', zero = ''] = selected;
      return this.#choose(type === 'i1', this.#decision(condition, line), one, zero, line);
    }
    const widened = /^zext i1 (\S+) to i64$/.exec(text);
    if (widened !== null) return { kind: 'whole', of: this.#whole(widened[1] ?? '', line) };
    const computed = /^(\w+)(?: nsw| nuw)* (i1|i64) (\S+), (\S+)$/.exec(text);
    if (computed === null) throw refuse(line, 'a computation that is not known here');
    const [, how = '', type, left = '', right = ''] = computed;
    const of = this.#wholes.compute(how, this.#whole(left, line), this.#whole(right, line));
    if (of === undefined) throw refuse(line, `"${how}" of what was measured is not supported`);
    return type === 'i1' ? { kind: 'decision', of: this.#wholes.isOdd(of) } : { kind: 'whole', of };
  }

  #phi(isBit: boolean, text: string, line: string): Known {
    const incoming = [...text.matchAll(/\[(\S+), %([\w.]+)\]/g)];
    const [first, ...others] = incoming;
    if (first === undefined) throw refuse(line, 'a choice that is not known here');
    const start: Known = isBit
      ? { kind: 'decision', of: this.#decision(first[1] ?? '', line) }
      : { kind: 'whole', of: this.#whole(first[1] ?? '', line) };
    return others.reduce<Known>((before, [, value = '', from]) => {
      const when = this.#edges.get(`${from} ${this.#block}`) ?? false;
      if (before.kind === 'decision')
        return { kind: 'decision', of: this.#decisions.choose(when, this.#decision(value, line), before.of) };
      return { kind: 'whole', of: this.#wholes.choose(when, this.#whole(value, line), before.of) };
    }, start);
  }

  #choose(isBit: boolean, when: Decision, one: string, zero: string, line: string): Known {
    if (isBit)
      return {
        kind: 'decision',
        of: this.#decisions.choose(when, this.#decision(one, line), this.#decision(zero, line)),
      };
    return { kind: 'whole', of: this.#wholes.choose(when, this.#whole(one, line), this.#whole(zero, line)) };
  }

  #decision(text: string, line: string): Decision {
    if (text === 'true' || text === 'false') return text === 'true';
    const known = this.#known.get(text);
    if (known?.kind !== 'decision') throw refuse(line, 'a value that is not known here');
    return known.of;
  }

  #whole(text: string, line: string): Whole {
    if (/^-?\d+$/.test(text)) return this.#wholes.constant(BigInt(text));
    const known = this.#known.get(text);
    if (known?.kind === 'whole') return known.of;
    return this.#wholes.fromDecision(this.#decision(text, line));
  }

  #call(text: string, line: string): void {
    const [, name = '', inside = ''] = /^call void @__quantum__(\w+)\((.*)\)$/.exec(text) ?? [];
    if (name.startsWith('rt__')) return;
    const args = argsOf(inside);
    const on = args.filter((arg) => arg.startsWith('%Qubit*')).map((arg) => idOf(arg, line));
    const [qubit = 0] = on;
    const instruction = name.replace(/^qis__/, '');
    switch (instruction) {
      case 'm__body':
      case 'mz__body':
      case 'mresetz__body':
        this.#measure(qubit, idOf(args.find((arg) => arg.startsWith('%Result*')) ?? '', line), line);
        if (instruction === 'mresetz__body') this.#put({ kind: 'reset', qubit });
        return;
      case 'reset__body':
        return this.#put({ kind: 'reset', qubit });
      case 'barrier__body':
        return;
      default:
        return this.#gate(instruction, args, on, line);
    }
  }

  #gate(instruction: string, args: readonly string[], on: readonly number[], line: string): void {
    const known = gates.get(instruction);
    if (known === undefined)
      throw new StepError(
        'UNSUPPORTED_GATE',
        `Q#: the program calls ${instruction.slice(0, 64)}, which is no gate that is known here`,
      );
    const [name, controls] = known;
    const angles = args.filter((arg) => arg.startsWith('double ')).map((arg) => Number(arg.slice('double '.length)));
    const { params, targets } = shapeOf(name);
    if (angles.length !== params.length || angles.some(Number.isNaN) || on.length !== targets + controls)
      throw refuse(line, 'a gate whose angle follows from measurements is not supported');
    const controlling = on.slice(0, controls).map((qubit): Control => ({ qubit, value: 1 }));
    this.#put(gateOn(gateNamed(name, ...angles), on.slice(controls), controlling));
  }

  #measure(qubit: number, result: number, line: string): void {
    // Decisions on it would no longer hold.
    if (this.#measured.has(result)) throw refuse(line, 'a result that is measured twice is not supported');
    this.#measured.add(result);
    this.#put({ kind: 'measure', qubit, bit: this.#bit(result) });
  }

  #bit(result: number): number {
    return this.#bits[result] ?? 0;
  }

  #put(operation: Operation): void {
    if (this.#when === false) return;
    if (this.#when !== true && this.#body.length === 0)
      this.operations.push({ kind: 'branch', condition: expressionOf(this.#when), body: this.#body, otherwise: [] });
    this.#body.push(operation);
    if (this.#body.length > operationsMax)
      throw new StepError('CIRCUIT_TOO_LARGE', `Q#: the circuit has more than ${operationsMax} operations`);
  }
}

/** `%Qubit* inttoptr (i64 3 to %Qubit*)`, or `%Qubit* null` for the first. */
function idOf(arg: string, line: string): number {
  const id = /^%(?:Qubit|Result)\* (?:inttoptr \(i64 (\d+) to %(?:Qubit|Result)\*\)|null)$/.exec(arg);
  if (id === null) throw refuse(line, 'a qubit or result that is not known before it runs');
  return Number(id[1] ?? 0);
}

const argsOf = (inside: string): string[] => inside.split(/, (?=%Qubit\*|%Result\*|double |i64 |i8\*)/);
