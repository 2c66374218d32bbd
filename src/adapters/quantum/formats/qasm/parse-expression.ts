import type { Source } from './source.ts';
import { type Expr, scalarTypes, type Type } from './syntax.ts';
import { shown, type Token, Tokens } from './tokens.ts';

export const nestingMax = 64;
/** Per statement: what reads a tree goes down its operators one by one. */
const operatorsMax = 4096;
const integerLengthMax = 1300;

/** From the least to the most binding; each associates to the left. */
const levels: readonly (readonly string[])[] = [
  ['++'],
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<', '<=', '>', '>='],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];

/** Recursive descent over expressions. Source: the grammar of OpenQASM 3 (openqasm.com), and doi:10.48550/arXiv.1707.03429 for version 2. */
export class ExpressionParser {
  readonly source: Source;
  protected readonly tokens: Tokens;
  /** Without a version it is 3. */
  version: 2 | 3 = 3;
  #depth = 0;
  protected operators = 0;

  constructor(source: Source) {
    this.source = source;
    this.tokens = new Tokens(source);
  }

  expression(level = 0): Expr {
    const operators = levels[level];
    if (operators === undefined) return this.#unary();
    let left = this.expression(level + 1);
    for (let operator = this.#operator(operators); operator !== undefined; operator = this.#operator(operators))
      left = { kind: 'binary', at: left.at, operator, left, right: this.expression(level + 1) };
    return left;
  }

  #operator(among: readonly string[]): string | undefined {
    const { kind, text, at } = this.tokens.peek();
    if (kind !== 'symbol' || !among.includes(text)) return undefined;
    // In version 2 it is the power, which binds more.
    if (this.version === 2 && text === '^') return undefined;
    this.#count(at);
    this.tokens.next();
    return text;
  }

  #count(at: number): void {
    this.operators += 1;
    if (this.operators > operatorsMax)
      throw this.source.tooLarge(at, `a statement has at most ${operatorsMax} operators`);
  }

  #unary(): Expr {
    const { text, at } = this.tokens.peek();
    const isUnary = text === '-' || text === '+' || (this.version === 3 && (text === '~' || text === '!'));
    if (!isUnary) return this.#power();
    this.tokens.next();
    return this.nested(at, () => {
      const of = this.#unary();
      return text === '+' ? of : { kind: 'unary', at, operator: text, of };
    });
  }

  /** It binds more than a sign before it, less than one after it, and associates to the right. */
  #power(): Expr {
    const left = this.postfix();
    const { text, at } = this.tokens.peek();
    if (text !== (this.version === 2 ? '^' : '**')) return left;
    this.#count(at);
    this.tokens.next();
    return { kind: 'binary', at: left.at, operator: '**', left, right: this.nested(at, () => this.#unary()) };
  }

  protected postfix(): Expr {
    let of = this.#primary();
    while (this.tokens.peek().text === '[') {
      this.#count(this.tokens.peek().at);
      of = { kind: 'index', at: of.at, of, by: this.#indices() };
    }
    return of;
  }

  #indices(): Expr[] {
    this.expect('[', 'before an index');
    const by = this.list(']', () => (this.tokens.peek().text === '{' ? this.items() : this.range()));
    this.expect(']', 'after the index');
    return by;
  }

  /** One index, or `from:to`, `from:step:to`, each of which but the step may be left out. */
  protected range(): Expr {
    const { at } = this.tokens.peek();
    const from = this.tokens.peek().text === ':' ? undefined : this.expression();
    if (!this.accept(':')) return from as Expr;
    const isOpen = (): boolean => [']', ','].includes(this.tokens.peek().text);
    const second = isOpen() ? undefined : this.expression();
    const first = from === undefined ? {} : { from };
    if (second === undefined || !this.accept(':'))
      return { kind: 'range', at, ...first, ...(second === undefined ? {} : { to: second }) };
    return { kind: 'range', at, ...first, step: second, ...(isOpen() ? {} : { to: this.expression() }) };
  }

  /** `{a, b}` */
  protected items(): Expr {
    const { at } = this.expect('{', 'before a list');
    const items = this.nested(at, () =>
      this.list('}', () => (this.tokens.peek().text === '{' ? this.items() : this.expression())),
    );
    this.expect('}', 'after the list');
    return { kind: 'list', at, items };
  }

  #primary(): Expr {
    const token = this.tokens.next();
    const { at, text } = token;
    switch (token.kind) {
      case 'integer':
        if (text.length > integerLengthMax)
          throw this.source.tooLarge(at, `a number has at most ${integerLengthMax} digits`);
        return { kind: 'integer', at, value: BigInt(text.replaceAll('_', '')) };
      case 'float':
        return { kind: 'real', at, value: Number(text.replaceAll('_', '')) };
      case 'string':
        if (!/^"[01_]*[01]"$/.test(text))
          throw this.source.syntax(at, `${shown(token)} is no text of bits, such as "01"`);
        return { kind: 'bitstring', at, bits: text.slice(1, -1).replaceAll('_', '') };
      case 'physical':
        return { kind: 'physical', at, qubit: Number(text.slice(1)) };
      case 'duration':
        throw this.source.unsupported(at, `durations such as ${shown(token)} have a meaning in a delay only`);
      case 'imaginary':
        throw this.source.unsupported(at, 'complex numbers are not supported');
      case 'name':
        return this.#named(token);
      default:
        if (text !== '(') throw this.unexpected(token, 'a value');
        return this.nested(at, () => {
          const inner = this.expression();
          this.expect(')', `to close the "(" of ${this.source.place(at)}`);
          return inner;
        });
    }
  }

  #named({ text: name, at }: Token): Expr {
    if (this.version === 3) {
      if (name === 'true' || name === 'false') return { kind: 'boolean', at, value: name === 'true' };
      if (name === 'durationof') throw this.source.unsupported(at, 'durationof is not supported');
      if (this.isType(name)) {
        const type = this.type(name, at);
        this.expect('(', 'before the value that becomes the type');
        const of = this.nested(at, () => this.expression());
        this.expect(')', 'after the value that becomes the type');
        return { kind: 'cast', at, type, of };
      }
    }
    if (this.tokens.peek().text !== '(') return { kind: 'name', at, name };
    return { kind: 'call', at, name, args: this.nested(at, () => this.args()) };
  }

  /** `(a, b)` */
  protected args(): Expr[] {
    this.expect('(', 'before the parameters');
    const args = this.list(')', () => this.expression());
    this.expect(')', 'or "," after a parameter');
    return args;
  }

  /** Items with `,` between, one more at the end allowed. */
  protected list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    while (this.tokens.peek().text !== close) {
      items.push(item());
      if (!this.accept(',')) break;
    }
    return items;
  }

  protected isType(name: string): boolean {
    return (
      (scalarTypes as readonly string[]).includes(name) || ['array', 'complex', 'duration', 'stretch'].includes(name)
    );
  }

  /** The type whose name was just read. */
  protected type(name: string, at: number): Type {
    if (name === 'complex' || name === 'duration' || name === 'stretch')
      throw this.source.unsupported(at, `the type ${name} is not supported`);
    if (name === 'array') return this.#array();
    const size = this.designator();
    return { name: name as Type['name'], ...(size === undefined ? {} : { size }) };
  }

  /** `array[float[64], 3]`: its sizes follow from its values. */
  #array(): Type {
    this.expect('[', 'after array');
    const { text, at } = this.name('the type of its entries');
    this.type(text, at);
    while (this.accept(',')) this.expression();
    this.expect(']', 'after the sizes of the array');
    return { name: 'array' };
  }

  /** `[size]`, if it is there. */
  protected designator(): Expr | undefined {
    if (!this.accept('[')) return undefined;
    const size = this.expression();
    this.expect(']', 'after a size');
    return size;
  }

  protected nested<T>(at: number, what: () => T): T {
    this.#depth += 1;
    if (this.#depth > nestingMax) throw this.source.tooLarge(at, `it is nested more than ${nestingMax} deep`);
    try {
      return what();
    } finally {
      this.#depth -= 1;
    }
  }

  protected accept(text: string): boolean {
    const found = this.tokens.peek();
    if (found.text !== text || found.kind === 'string') return false;
    this.tokens.next();
    return true;
  }

  protected expect(text: string, why: string): Token {
    const found = this.tokens.peek();
    if (found.text !== text) throw this.unexpected(found, `"${text}" ${why}`);
    return this.tokens.next();
  }

  protected name(what: string): Token {
    const found = this.tokens.peek();
    if (found.kind !== 'name') throw this.unexpected(found, what);
    return this.tokens.next();
  }

  protected unexpected(found: Token, expected: string): Error {
    return this.source.syntax(found.at, `expected ${expected}, found ${shown(found)}`);
  }
}
