import { StepError } from '../../../../lib/errors.ts';
import { isObject } from '../../../../lib/json.ts';

export const unsupported = (path: string, message: string): StepError =>
  new StepError('UNSUPPORTED_GATE', `cirq: ${path} ${message}`);

/** A value of Cirq's JSON and where it stands, such as `moments[0].operations[2].gate`. */
export class Node {
  readonly path: string;
  readonly value: unknown;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.path = path;
  }

  refuse(message: string): StepError {
    return new StepError('INVALID_PARAMS', `cirq: ${this.path === '' ? 'the circuit' : this.path} ${message}`);
  }

  /** The `cirq_type` of an object; undefined for what has none. */
  get type(): string | undefined {
    const type = isObject(this.value) && Object.hasOwn(this.value, 'cirq_type') ? this.value.cirq_type : undefined;
    return typeof type === 'string' ? type : undefined;
  }

  find(name: string): Node | undefined {
    if (!isObject(this.value) || !Object.hasOwn(this.value, name)) return undefined;
    return new Node(this.value[name], this.path === '' ? name : `${this.path}.${name}`);
  }

  get(name: string): Node {
    const found = this.find(name);
    if (found === undefined) throw this.refuse(`has no ${name}`);
    return found;
  }

  items(): Node[] {
    if (!Array.isArray(this.value)) throw this.refuse('must be a list');
    return this.value.map((item, at) => new Node(item, `${this.path}[${at}]`));
  }

  whole(): number {
    if (typeof this.value !== 'number' || !Number.isSafeInteger(this.value))
      throw this.refuse('must be a whole number');
    return this.value;
  }

  text(): string {
    if (typeof this.value !== 'string') throw this.refuse('must be a text');
    return this.value;
  }
}
