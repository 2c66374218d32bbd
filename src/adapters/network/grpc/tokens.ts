import { StepError } from '../../../lib/errors.ts';

interface Token {
  kind: 'name' | 'number' | 'text' | 'symbol' | 'end';
  /** Of a text: its value, with escapes resolved. */
  text: string;
  line: number;
}

const pattern =
  /(?<space>\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?<symbol>[{}[\]()<>;:,=.+\-/])/y;

/** Splits the text of a .proto file. @throws StepError INVALID_PARAMS, with the line */
function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = [];
  const scanner = new RegExp(pattern);
  let line = 1;
  while (scanner.lastIndex < text.length) {
    const at = scanner.lastIndex;
    const groups = scanner.exec(text)?.groups;
    if (groups === undefined)
      throw new StepError('INVALID_PARAMS', `${file}, line ${line}: ${JSON.stringify(text[at])} is not expected here`);
    const { space, name, number, text: quoted, symbol } = groups;
    if (name !== undefined) tokens.push({ kind: 'name', text: name, line });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number, line });
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: unescaped(quoted.slice(1, -1)), line });
    else if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol, line });
    else if (space !== undefined) for (const char of space) if (char === '\n') line += 1;
  }
  tokens.push({ kind: 'end', text: 'the end of the file', line });
  return tokens;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b', f: '\f', v: '\v' };

const unescaped = (text: string): string =>
  text.replace(/\\(?:[xX]([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]))/g, (_, hex?: string, octal?: string, char = '') => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    return Object.hasOwn(escapes, char) ? (escapes[char] ?? char) : char;
  });

/** A place in a list of tokens, for a parser of recursive descent. */
export class TokenReader {
  readonly file: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string, file: string) {
    this.file = file;
    this.#tokens = tokenize(text, file);
  }

  get current(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: 'the end of the file', line: 0 };
  }

  get following(): Token | undefined {
    return this.#tokens[this.#at + 1];
  }

  next(): Token {
    const token = this.current;
    this.#at += 1;
    return token;
  }

  /** Goes on if the current token is this symbol or keyword. */
  accept(text: string): boolean {
    const { kind, text: found } = this.current;
    if (found !== text || kind === 'text' || kind === 'end') return false;
    this.#at += 1;
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) throw this.error(`"${text}" is missing before`);
  }

  name(): string {
    if (this.current.kind !== 'name') throw this.error('a name is missing before');
    return this.next().text;
  }

  /** Texts that stand side by side are one. */
  text(): string {
    if (this.current.kind !== 'text') throw this.error('a text in quotes is missing before');
    let text = '';
    while (this.current.kind === 'text') text += this.next().text;
    return text;
  }

  /** A dotted name, perhaps with a leading dot. */
  path(): string {
    let path = this.accept('.') ? '.' : '';
    path += this.name();
    while (this.accept('.')) path += `.${this.name()}`;
    return path;
  }

  integer(): number {
    const sign = this.accept('-') ? -1 : 1;
    const { kind, text } = this.current;
    const value = /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number(text);
    if (kind !== 'number' || !Number.isSafeInteger(value)) throw this.error('a whole number is missing before');
    this.#at += 1;
    return sign * value;
  }

  /** @param problem is followed by the current token */
  error(problem: string, token: Token = this.current): StepError {
    const found = token.kind === 'end' ? token.text : JSON.stringify(token.text.slice(0, 60));
    return new StepError('INVALID_PARAMS', `${this.file}, line ${token.line}: ${problem} ${found}`);
  }
}
