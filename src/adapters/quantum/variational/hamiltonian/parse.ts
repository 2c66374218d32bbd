import { isObject, type JSONValue } from '../../../../lib/json.ts';
import { formatPath } from '../../../../lib/json-path.ts';
import type { PauliSum } from '../../circuit/pauli.ts';
import { Fields, refuse } from '../../formats/gate-list/fields.ts';
import { qubitsMax } from '../../formats/gate-list/read.ts';
import { numberIn } from '../fields.ts';

/** Larger coefficients would drown the others. */
const coefficientMax = 1e12;
const termsMax = 20_000;

interface Written {
  readonly text: string;
  readonly coefficient: number;
  readonly path: string;
}

/**
 * A sum of products of Pauli matrices: `{ "ZZ": 1.0, "XI": 0.5 }` or `[{ "pauli": "ZZ", "coefficient": 1.0 }]`. A product has one letter
 * per qubit, qubit 0 rightmost, or names those that are no identity, as in `"Z0 Z1"`; the identity is then `"I"`. Equal products are added.
 *
 * @param qubits how many there are; default as many as letters, or up to the highest that is named
 * @throws StepError INVALID_PARAMS with the path of what is wrong
 */
export function parsePauliSum(json: JSONValue, path: string, qubits?: number): PauliSum {
  const written = isObject(json) ? fromMap(json as Record<string, JSONValue>, path) : fromList(json, path);
  if (written.length === 0) throw refuse(path, 'has no terms');
  if (written.length > termsMax) throw refuse(path, `has ${written.length} terms, more than ${termsMax}`);
  const isSparse = written.some(({ text }) => /\d/.test(text));
  const products = isSparse ? sparse(written, qubits) : dense(written, qubits);
  const sum = new Map<string, number>();
  products.forEach((letters, at) => {
    sum.set(letters, (sum.get(letters) ?? 0) + (written[at]?.coefficient ?? 0));
  });
  const terms = Array.from(sum, ([letters, coefficient]) => ({ letters, coefficient }));
  return { qubits: products[0]?.length ?? 0, terms };
}

const fromMap = (map: Record<string, JSONValue>, path: string): Written[] =>
  Object.entries(map).map(([text, coefficient]) => {
    const at = formatPath([text], path);
    return { text, coefficient: checkedCoefficient(coefficient, at), path: at };
  });

function fromList(list: JSONValue, path: string): Written[] {
  if (!Array.isArray(list))
    throw refuse(path, 'must be a map such as { "ZZ": 1.0 } or a list of { "pauli": "ZZ", "coefficient": 1.0 }');
  return list.map((entry, index) => {
    const at = `${path}[${index}]`;
    if (!isObject(entry)) throw refuse(at, 'must be an object such as { "pauli": "ZZ", "coefficient": 1.0 }');
    const fields = new Fields(entry as JSONValue, at);
    const found = fields.first('pauli', 'paulis');
    if (typeof found?.value !== 'string')
      throw refuse(fields.at(found?.name ?? 'pauli'), 'must be a text such as "ZZ" or "Z0 Z1"');
    const coefficient = checkedCoefficient(fields.take('coefficient'), fields.at('coefficient'));
    fields.end('a term');
    return { text: found.value, coefficient, path: fields.at(found.name) };
  });
}

function checkedCoefficient(value: JSONValue | undefined, path: string): number {
  return numberIn(value, path, { min: -coefficientMax, max: coefficientMax });
}

function dense(written: readonly Written[], given: number | undefined): string[] {
  const qubits = given ?? written[0]?.text.length ?? 0;
  return written.map(({ text, path }) => {
    if (!/^[IXYZ]+$/.test(text))
      throw refuse(path, 'must have one of I, X, Y, Z per qubit, such as "ZZ", or name qubits, such as "Z0 Z1"');
    if (text.length !== qubits)
      throw refuse(
        path,
        `has ${text.length} letters, and there are ${qubits} qubits: every product has one letter for each`,
      );
    if (qubits > qubitsMax) throw refuse(path, `is over ${qubits} qubits, more than ${qubitsMax}`);
    return text;
  });
}

function sparse(written: readonly Written[], given: number | undefined): string[] {
  const products = written.map(({ text, path }) => {
    const letters = new Map<number, string>();
    for (const word of text === 'I' ? [] : text.split(/\s+/)) {
      const [, letter, digits] = /^([XYZ])(\d{1,6})$/.exec(word) ?? [];
      if (letter === undefined)
        throw refuse(
          path,
          `has ${JSON.stringify(word.slice(0, 20))}, where a letter and its qubit belong, as in "Z0 Z1"`,
        );
      const qubit = Number(digits);
      if (letters.has(qubit)) throw refuse(path, `names qubit ${qubit} twice`);
      if (qubit >= (given ?? qubitsMax))
        throw refuse(path, `names qubit ${qubit}, but the highest is ${(given ?? qubitsMax) - 1}`);
      letters.set(qubit, letter);
    }
    return letters;
  });
  const qubits = given ?? 1 + Math.max(...products.flatMap((letters) => [...letters.keys()]));
  return products.map((letters) =>
    Array.from({ length: qubits }, (_, at) => letters.get(qubits - 1 - at) ?? 'I').join(''),
  );
}
