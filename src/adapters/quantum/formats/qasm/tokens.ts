import { clip } from '../../../../lib/clip.ts';
import type { Source } from './source.ts';

export interface Token {
  readonly kind: 'name' | 'physical' | 'integer' | 'float' | 'duration' | 'imaginary' | 'string' | 'symbol' | 'end';
  readonly text: string;
  /** Where it begins in the text. */
  readonly at: number;
}

const digits = '[0-9][0-9_]*';
const exponent = `[eE][+-]?${digits}`;
const float = `(?:(?:${digits}\\.(?:${digits})?|\\.${digits})(?:${exponent})?|${digits}${exponent})`;
const noLetter = '(?![\\p{L}\\p{N}_])';
const kinds = {
  duration: `(?:${float}|${digits})[ \\t]*(?:dt|ns|us|µs|μs|ms|s)${noLetter}`,
  imaginary: `(?:${float}|${digits})[ \\t]*im${noLetter}`,
  float,
  integer: `0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|${digits}`,
  name: '[\\p{L}_][\\p{L}\\p{N}_]*',
  physical: '\\$[0-9]+',
  string: `"[^"\\r\\n]*"|'[^'\\r\\n]*'`,
  symbol: '\\*\\*=|<<=|>>=|->|==|!=|<=|>=|&&|\\|\\||<<|>>|\\+\\+|\\*\\*|[-+*/%&|^]=|[-+*/%&|^~!<>=()[\\]{},;:@]',
} as const;
type Kind = keyof typeof kinds;
const token = new RegExp(
  Object.entries(kinds)
    .map(([kind, pattern]) => `(?<${kind}>${pattern})`)
    .join('|'),
  'uy',
);
/** Annotations and pragmas take the rest of their line, and none has a meaning here. */
const skipped =
  /\s+|\/\/[^\r\n]*|\/\*[\s\S]*?\*\/|@(?<=^[ \t]*@)[\p{L}_][^\r\n]*|#?pragma(?<=^[ \t]*#?pragma)\b[^\r\n]*/muy;

/** Tokens one after another, read when they are asked for, so that a long program is never held as a list of them. */
export class Tokens {
  readonly source: Source;
  #at = 0;
  readonly #ahead: Token[] = [];

  constructor(source: Source) {
    this.source = source;
  }

  /** What comes, without taking it. */
  peek(ahead = 0): Token {
    while (this.#ahead.length <= ahead) this.#ahead.push(this.#read());
    return this.#ahead[ahead] as Token;
  }

  next(): Token {
    return this.#ahead.shift() ?? this.#read();
  }

  #read(): Token {
    const { text } = this.source;
    for (skipped.lastIndex = this.#at; skipped.test(text); skipped.lastIndex = this.#at) this.#at = skipped.lastIndex;
    const at = this.#at;
    if (at >= text.length) return { kind: 'end', text: '', at };
    if (text.startsWith('/*', at)) throw this.source.syntax(at, 'this comment has no end: close it with */');
    token.lastIndex = at;
    const groups = token.exec(text)?.groups;
    if (groups === undefined)
      throw this.source.syntax(at, `${JSON.stringify(clip(text.slice(at), 1))} has no meaning in OpenQASM`);
    const [kind, found] = Object.entries(groups).find(([, value]) => value !== undefined) as [Kind, string];
    this.#at = at + found.length;
    return { kind, text: found, at };
  }
}

/** As an error says it. */
export const shown = ({ kind, text }: Token): string =>
  kind === 'end' ? 'the end of the program' : JSON.stringify(clip(text, 40));
