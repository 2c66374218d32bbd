import { StepError } from '../../../../lib/errors.ts';
import type { Circuit } from '../../circuit/circuit.ts';
import { Builder } from './build.ts';
import { Parser } from './parse-statement.ts';
import { Source } from './source.ts';

const textBytesMax = 4 * 1024 * 1024;

export interface QasmOptions {
  /** Values of what the program declares as `input`, angles in radians. */
  parameters?: Readonly<Record<string, number>>;
}

/**
 * A circuit from OpenQASM 2.0 or 3.0 (3.1's `switch` included); without a version it is 3. Gates are unrolled to those of the circuit, and so are
 * loops over known ranges; what measured bits tell becomes branches and loops of the circuit. Of includes there are `qelib1.inc` and
 * `stdgates.inc`. Sources: doi:10.48550/arXiv.1707.03429 and https://openqasm.com.
 *
 * @param text 4 MiB at most
 * @throws StepError QASM_SYNTAX, UNSUPPORTED_GATE, QUANTUM_UNSUPPORTED for what a circuit can't say, CIRCUIT_TOO_LARGE, each with line:column;
 *   INVALID_PARAMS for inputs
 */
export function parseQasm(text: string, { parameters = {} }: QasmOptions = {}): Circuit {
  if (text.length > textBytesMax || Buffer.byteLength(text) > textBytesMax)
    throw new StepError('CIRCUIT_TOO_LARGE', `the OpenQASM program is longer than ${textBytesMax} bytes`);
  const parser = new Parser(new Source(text));
  parser.header();
  const builder = new Builder(parser, parameters);
  for (let statement = parser.next(); statement !== undefined; statement = parser.next()) builder.add(statement);
  return builder.circuit();
}
