import { StepError } from '../../../../lib/errors.ts';

/** The text of a program, and errors that say where in it they are. */
export class Source {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** @returns `line:column`, both from 1 */
  place(at: number): string {
    const before = this.text.slice(0, at);
    const line = before.split('\n').length;
    return `${line}:${at - before.lastIndexOf('\n')}`;
  }

  syntax(at: number, message: string): StepError {
    return new StepError('QASM_SYNTAX', `OpenQASM ${this.place(at)}: ${message}`);
  }

  /** Right as OpenQASM, but nothing that a circuit can say. */
  unsupported(at: number, message: string): StepError {
    return new StepError('QUANTUM_UNSUPPORTED', `OpenQASM ${this.place(at)}: ${message}`);
  }

  tooLarge(at: number, message: string): StepError {
    return new StepError('CIRCUIT_TOO_LARGE', `OpenQASM ${this.place(at)}: ${message}`);
  }
}
