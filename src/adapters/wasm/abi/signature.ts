import { StepError } from '../../../lib/errors.ts';

export type NumberType = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64' | 'u64' | 'f32' | 'f64' | 'bool';

/** What a param or a result is to the user; a `len` is no argument, but the length of the one before it, in bytes. */
export type SignatureType =
  | { kind: 'number'; type: NumberType }
  | { kind: 'string' }
  /** @property length in bytes, of a result that is no more than a pointer */
  | { kind: 'bytes'; length?: number }
  | { kind: 'json' }
  | { kind: 'len' }
  | { kind: 'list'; of: NumberType; form: 'typed' | 'array' | 'static' };

export interface Signature {
  name?: string;
  params: { name?: string; type: SignatureType }[];
  results: SignatureType[];
}

const lengthMax = 4_096;
const itemsMax = 256;
const bytesMax = 2 ** 31;

const numberTypes: readonly NumberType[] = ['i8', 'u8', 'i16', 'u16', 'i32', 'u32', 'i64', 'u64', 'f32', 'f64', 'bool'];
const typedArrays: Readonly<Record<string, NumberType>> = {
  Int8Array: 'i8',
  Uint8Array: 'u8',
  Int16Array: 'i16',
  Uint16Array: 'u16',
  Int32Array: 'i32',
  Uint32Array: 'u32',
  BigInt64Array: 'i64',
  Int64Array: 'i64',
  BigUint64Array: 'u64',
  Uint64Array: 'u64',
  Float32Array: 'f32',
  Float64Array: 'f64',
};
const aliases: Readonly<Record<string, SignatureType>> = {
  string: { kind: 'string' },
  String: { kind: 'string' },
  bytes: { kind: 'bytes' },
  ArrayBuffer: { kind: 'bytes' },
  json: { kind: 'json' },
  len: { kind: 'len' },
  boolean: { kind: 'number', type: 'bool' },
  usize: { kind: 'number', type: 'u32' },
  isize: { kind: 'number', type: 'i32' },
};
const known =
  'the types are i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, bool, string, bytes, bytes(N), len, json, and lists such as Float64Array or Array<i32>';

/**
 * Parses a signature as users write it: `add(a: i32, b: i32) -> i32`, `(string, len) -> bytes(32)`, `f() -> (i32, f64)`.
 *
 * @throws StepError INVALID_PARAMS, which shows the place
 */
export function parseSignature(text: string): Signature {
  if (text.length > lengthMax)
    throw new StepError('INVALID_PARAMS', `params.signature: it is longer than ${lengthMax} characters`);
  return new Parser(text).signature();
}

const isNumberType = (word: string): word is NumberType => (numberTypes as readonly string[]).includes(word);

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  signature(): Signature {
    const name = this.#peek() === '(' ? undefined : this.#word('the name of the function, or "("');
    const params = this.#list(() => this.#param(), '"(" with the params');
    const results = this.#take('->') ? this.#results() : [];
    if (this.#peek() !== '') throw this.#wrong('nothing more');
    params.forEach(({ type }, index) => {
      const before = params[index - 1]?.type.kind;
      if (type.kind === 'len' && before !== 'string' && before !== 'bytes' && before !== 'json' && before !== 'list')
        throw refusal(`"len" is the length of the param before it, which must be string, bytes, json or a list`);
    });
    if (results.some(({ kind }) => kind === 'len')) throw refusal('"len" can be the type of a param only');
    return name === undefined ? { params, results } : { name, params, results };
  }

  #param(): Signature['params'][number] {
    const start = this.#at;
    const word = this.#word('a param');
    if (this.#take(':')) return { name: word, type: this.#type() };
    this.#at = start;
    return { type: this.#type() };
  }

  #results(): SignatureType[] {
    if (this.#peek() === '(') return this.#list(() => this.#type(), '"("');
    const start = this.#at;
    if (this.#word('the type of the result') === 'void') return [];
    this.#at = start;
    return [this.#type()];
  }

  #list<T>(item: () => T, what: string): T[] {
    if (!this.#take('(')) throw this.#wrong(what);
    const items: T[] = [];
    if (this.#take(')')) return items;
    do {
      items.push(item());
      if (items.length > itemsMax) throw refusal(`it has more than ${itemsMax} items in a list`);
    } while (this.#take(','));
    if (!this.#take(')')) throw this.#wrong('"," or ")"');
    return items;
  }

  #type(): SignatureType {
    const start = this.#at;
    const word = this.#word('a type');
    if (isNumberType(word))
      return this.#take('[]') ? { kind: 'list', of: word, form: 'typed' } : { kind: 'number', type: word };
    if (Object.hasOwn(typedArrays, word)) return { kind: 'list', of: typedArrays[word] as NumberType, form: 'typed' };
    if (word === 'Array' || word === 'StaticArray') {
      const of = this.#take('<') ? this.#word('the type of the elements') : '';
      if (!isNumberType(of) || !this.#take('>')) throw this.#wrong('a number type in "<" and ">"');
      return { kind: 'list', of, form: word === 'Array' ? 'array' : 'static' };
    }
    if (word === 'bytes' && this.#take('(')) {
      const length = Number(this.#word('the number of bytes'));
      if (!Number.isInteger(length) || length < 0 || length > bytesMax || !this.#take(')'))
        throw this.#wrong(`a number of bytes and ")"`);
      return { kind: 'bytes', length };
    }
    if (Object.hasOwn(aliases, word)) return aliases[word] as SignatureType;
    this.#at = start;
    this.#space();
    throw refusal(`it has an unknown type "${word}" at character ${this.#at + 1}: ${known}`);
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at += 1;
  }

  #peek(): string {
    this.#space();
    return this.#text[this.#at] ?? '';
  }

  #take(token: string): boolean {
    this.#space();
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  /** Names of functions and params may hold all that toolchains put into them, but not the signature's own signs. */
  #word(what: string): string {
    this.#space();
    const start = this.#at;
    while (!/^[\s()[\]<>,:]?$/.test(this.#text[this.#at] ?? '') && !this.#text.startsWith('->', this.#at))
      this.#at += 1;
    if (this.#at === start) throw this.#wrong(what);
    return this.#text.slice(start, this.#at);
  }

  #wrong(expected: string): StepError {
    const found = this.#peek();
    return refusal(
      `at character ${this.#at + 1} ${found === '' ? 'it ends' : `stands "${found}"`} where ${expected} is expected; write it like "add(a: i32, b: i32) -> i32"`,
    );
  }
}

const refusal = (what: string): StepError => new StepError('INVALID_PARAMS', `params.signature: ${what}`);

/** As a user would write it. */
export function typeText(type: SignatureType): string {
  if (type.kind === 'number') return type.type;
  if (type.kind === 'bytes' && type.length !== undefined) return `bytes(${type.length})`;
  if (type.kind !== 'list') return type.kind;
  if (type.form === 'typed') return `${type.of}[]`;
  return `${type.form === 'array' ? 'Array' : 'StaticArray'}<${type.of}>`;
}
