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
const float = new RegExp(`(?:${digits}\\.(?:${digits})?|\\.${digits})(?:${exponent})?|${digits}${exponent}`, 'y');
const integer = new RegExp(`0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|${digits}`, 'y');
/** What makes a number a duration or an imaginary one. */
const unit = /[ \t]*(?:dt|ns|us|µs|μs|ms|s|im)(?![\p{L}\p{N}_])/uy;
const name = /[\p{L}_][\p{L}\p{N}_]*/uy;
const physical = /\$[0-9]+/y;
const string = /"[^"\r\n]*"|'[^'\r\n]*'/y;
const symbol = /\*\*=|<<=|>>=|->|==|!=|<=|>=|&&|\|\||<<|>>|\+\+|\*\*|[-+*/%&|^]=|[-+*/%&|^~!<>=()[\]{},;:@]/y;
/** Annotations and pragmas take the rest of their line, and none has a meaning here. */
const skipped =
  /\s+|\/\/[^\r\n]*|\/\*[\s\S]*?\*\/|@(?<=^[ \t]*@)[\p{L}_][^\r\n]*|#?pragma(?<=^[ \t]*#?pragma)\b[^\r\n]*/muy;

/** Where the pattern ends that begins at a place, or that place. */
function end(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

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
    let at = this.#at;
    for (let next = end(skipped, text, at); next > at; next = end(skipped, text, at)) at = next;
    if (at >= text.length) return { kind: 'end', text: '', at };
    if (text.startsWith('/*', at)) throw this.source.syntax(at, 'this comment has no end: close it with */');
    const [kind, to] = kindAt(text, at);
    if (to === at)
      throw this.source.syntax(at, `${JSON.stringify(clip(text.slice(at), 1))} has no meaning in OpenQASM`);
    this.#at = to;
    return { kind, text: text.slice(at, to), at };
  }
}

/** The kind of the token that begins there, and where it ends. */
function kindAt(text: string, at: number): [Token['kind'], number] {
  const symbolEnd = end(symbol, text, at);
  if (symbolEnd > at) return ['symbol', symbolEnd];
  const nameEnd = end(name, text, at);
  if (nameEnd > at) return ['name', nameEnd];
  const floatEnd = end(float, text, at);
  const numberEnd = floatEnd > at ? floatEnd : end(integer, text, at);
  if (numberEnd > at) {
    const unitEnd = end(unit, text, numberEnd);
    if (unitEnd > numberEnd) return [text.startsWith('im', unitEnd - 2) ? 'imaginary' : 'duration', unitEnd];
    return [floatEnd > at ? 'float' : 'integer', numberEnd];
  }
  const physicalEnd = end(physical, text, at);
  return physicalEnd > at ? ['physical', physicalEnd] : ['string', end(string, text, at)];
}

/** As an error says it. */
export const shown = ({ kind, text }: Token): string =>
  kind === 'end' ? 'the end of the program' : JSON.stringify(clip(text, 40));
