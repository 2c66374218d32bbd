import { ExpressionParser, nestingMax } from './parse-expression.ts';
import type { Case, Expr, GateDefinition, Modifier, Statement, Subroutine, Type } from './syntax.ts';
import { shown, type Token } from './tokens.ts';

const assignments = ['=', '+=', '-=', '*=', '/=', '%=', '**=', '&=', '|=', '^=', '<<=', '>>='];
const refused: ReadonlyMap<string, string> = new Map([
  ['cal', 'calibrations (cal) are for devices'],
  ['defcal', 'calibrations (defcal) are for devices'],
  ['defcalgrammar', 'calibrations (defcalgrammar) are for devices'],
  ['extern', 'extern functions are not supported: they are not part of the program'],
  ['duration', 'durations are not supported'],
  ['stretch', 'durations (stretch) are not supported'],
  ['complex', 'complex numbers are not supported'],
]);
const keywordsOf2 = ['include', 'qreg', 'creg', 'gate', 'opaque', 'measure', 'reset', 'barrier', 'if'];

/** Recursive descent over statements, one after another, so that a long program is never held as one tree. */
export class Parser extends ExpressionParser {
  /** `OPENQASM 3.0;`, which stands first if it is there. */
  header(): void {
    if (this.tokens.peek().text !== 'OPENQASM') return;
    this.tokens.next();
    const version = this.tokens.next();
    const [major] = version.text.split('.');
    if (!/^\d+(\.\d+)?$/.test(version.text)) throw this.unexpected(version, 'a version, such as 2.0 or 3.0');
    if (major !== '2' && major !== '3')
      throw this.source.unsupported(
        version.at,
        `version ${shown(version)} of OpenQASM is unknown: there are 2.0 and 3.0`,
      );
    this.version = major === '2' ? 2 : 3;
    this.expect(';', 'after the version');
  }

  /** @returns undefined at the end of the program */
  next(): Statement | undefined {
    return this.tokens.peek().kind === 'end' ? undefined : this.#statement();
  }

  #statement(): Statement {
    this.operators = 0;
    const token = this.tokens.peek();
    const { at, text } = token;
    if (text === '{' && this.version === 3) return { kind: 'block', at, body: this.#block() };
    if (token.kind !== 'name') throw this.unexpected(token, 'a statement');
    const isAssigned = [...assignments, '['].includes(this.tokens.peek(1).text);
    if (this.version === 2 && !keywordsOf2.includes(text)) return this.#call();
    if (this.version === 3 && this.isType(text)) return this.#declaration();
    const why = this.version === 3 && !isAssigned ? refused.get(text) : undefined;
    if (why !== undefined) throw this.source.unsupported(at, why);
    return this.#keyword(token) ?? (isAssigned ? this.#assignment() : this.#call());
  }

  /** A statement that begins with a keyword. */
  #keyword(token: Token): Statement | undefined {
    const { at, text } = token;
    const read = this.#keywords[text];
    if (read === undefined) return undefined;
    this.tokens.next();
    return read(at, text);
  }

  readonly #keywords: Readonly<Record<string, ((at: number, text: string) => Statement) | undefined>> = {
    __proto__: null as never,
    OPENQASM: (at) => {
      throw this.source.syntax(at, 'the version stands once, before all else');
    },
    include: (at) => {
      const file = this.tokens.next();
      if (file.kind !== 'string') throw this.unexpected(file, 'the name of a file in quotes');
      return this.#ended({ kind: 'include', at, file: file.text.slice(1, -1) });
    },
    qreg: (at) => this.#register(at, true),
    creg: (at) => this.#register(at, false),
    qubit: (at) => {
      const size = this.designator();
      const { text: name } = this.name('a name for the qubits');
      return this.#ended({ kind: 'qubits', at, name, ...(size === undefined ? {} : { size }) });
    },
    const: () => this.#declaration('const'),
    input: () => this.#declaration('input'),
    output: () => this.#declaration(),
    let: (at) => {
      const { text: name } = this.name('a name');
      this.expect('=', 'after the name');
      return this.#ended({ kind: 'alias', at, name, of: this.expression() });
    },
    gate: (at) => this.#gate(at, true),
    opaque: (at) => this.#gate(at, false),
    def: (at) => this.#subroutine(at),
    measure: (at) => {
      const of = this.#operand();
      const into = this.accept('->') ? this.#operand() : undefined;
      return this.#ended({ kind: 'measure', at, of, ...(into === undefined ? {} : { into }) });
    },
    reset: (at) => this.#ended({ kind: 'reset', at, of: this.#operand() }),
    barrier: (at) => this.#ended({ kind: 'barrier', at, of: this.#operands() }),
    nop: (at) => {
      this.#operands();
      return this.#ended({ kind: 'nothing', at });
    },
    // Nothing passes while it waits, as far as an ideal circuit goes.
    delay: (at) => {
      this.#duration();
      this.#operands();
      return this.#ended({ kind: 'nothing', at });
    },
    box: (at) => {
      if (this.tokens.peek().text === '[') this.#duration();
      return { kind: 'block', at, body: this.#block() };
    },
    if: (at) => {
      const condition = this.#parenthesized();
      const body = this.#body();
      const otherwise = this.version === 3 && this.accept('else') ? this.#body() : [];
      return { kind: 'if', at, condition, body, otherwise };
    },
    while: (at) => ({ kind: 'while', at, condition: this.#parenthesized(), body: this.#body() }),
    for: (at) => this.#for(at),
    switch: (at) => this.#switch(at),
    break: (at, text) => this.#jump(at, text),
    continue: (at, text) => this.#jump(at, text),
    end: (at, text) => this.#jump(at, text),
    return: (at) => {
      const value = this.tokens.peek().text === ';' ? undefined : this.#value();
      return this.#ended({ kind: 'return', at, ...(value === undefined ? {} : { value }) });
    },
  };

  #jump(at: number, text: string): Statement {
    return this.#ended({ kind: 'jump', at, to: text as 'break' | 'continue' | 'end' });
  }

  #ended(statement: Statement): Statement {
    this.expect(';', 'at the end of the statement');
    return statement;
  }

  #register(at: number, isQuantum: boolean): Statement {
    const { text: name } = this.name('a name for the register');
    const size = this.designator();
    const sized = size === undefined ? {} : { size };
    if (isQuantum) return this.#ended({ kind: 'qubits', at, name, ...sized });
    return this.#ended({ kind: 'declare', at, role: 'variable', type: { name: 'bit', ...sized }, name });
  }

  #declaration(role: 'const' | 'input' | 'variable' = 'variable'): Statement {
    const { text, at } = this.name('a type');
    if (!this.isType(text))
      throw this.source.syntax(at, `expected a type, such as float, found ${JSON.stringify(text)}`);
    const type = this.type(text, at);
    const { text: name } = this.name('a name for the variable');
    if (role === 'const' && this.tokens.peek().text !== '=')
      throw this.unexpected(this.tokens.peek(), '"=" and the value of the constant');
    const value = role !== 'input' && this.accept('=') ? this.#value() : undefined;
    return this.#ended({ kind: 'declare', at, role, type, name, ...(value === undefined ? {} : { value }) });
  }

  /** What may stand on the right of `=`. */
  #value(): Expr {
    const { at, text } = this.tokens.peek();
    if (text === '{') return this.items();
    if (text !== 'measure') return this.expression();
    this.tokens.next();
    return { kind: 'measure', at, of: this.#operand() };
  }

  #assignment(): Statement {
    const to = this.#operand();
    const operator = this.tokens.next();
    if (!assignments.includes(operator.text)) throw this.unexpected(operator, '"=" after what is set');
    return this.#ended({ kind: 'assign', at: to.at, to, operator: operator.text.slice(0, -1), value: this.#value() });
  }

  #gate(at: number, hasBody: boolean): GateDefinition {
    const { text: name } = this.name('a name for the gate');
    const params = this.#parameterNames();
    const qubits = this.list(hasBody ? '{' : ';', () => this.name('a name for a qubit').text);
    if (hasBody) return { kind: 'gate', at, name, params, qubits, body: this.#block() };
    this.expect(';', 'at the end of the statement');
    return { kind: 'gate', at, name, params, qubits };
  }

  #parameterNames(): string[] {
    if (!this.accept('(')) return [];
    const names = this.list(')', () => this.name('a name for a parameter').text);
    this.expect(')', 'after the parameters');
    return names;
  }

  #subroutine(at: number): Subroutine {
    const { text: name } = this.name('a name for the subroutine');
    this.expect('(', 'before the parameters');
    const params = this.list(')', () => {
      const { text, at: typeAt } = this.name('a type');
      if (text === 'readonly' || text === 'mutable')
        throw this.source.unsupported(typeAt, 'references to arrays are not supported');
      if (text === 'qubit') {
        const size = this.designator();
        return { type: 'qubit' as const, name: this.name('a name').text, ...(size === undefined ? {} : { size }) };
      }
      if (!this.isType(text))
        throw this.source.syntax(typeAt, `expected a type, such as qubit, found ${JSON.stringify(text)}`);
      return { type: this.type(text, typeAt), name: this.name('a name').text };
    });
    this.expect(')', 'after the parameters');
    if (this.accept('->')) {
      const returned = this.name('a type');
      this.type(returned.text, returned.at);
    }
    return { kind: 'def', at, name, params, body: this.#block() };
  }

  #for(at: number): Statement {
    const named = this.name('the type of the loop variable');
    const type: Type = this.isType(named.text) ? this.type(named.text, named.at) : { name: 'int' };
    const { text: name } = this.isType(named.text) ? this.name('a name for the loop variable') : named;
    this.expect('in', 'after the loop variable');
    return { kind: 'for', at, type, name, over: this.#over(), body: this.#body() };
  }

  #over(): Expr {
    if (this.tokens.peek().text === '{') return this.items();
    if (!this.accept('[')) return this.expression();
    const range = this.range();
    this.expect(']', 'after the range');
    return range;
  }

  #switch(at: number): Statement {
    const of = this.#parenthesized();
    this.expect('{', 'before the cases');
    const cases: Case[] = [];
    let otherwise: Statement[] = [];
    while (!this.accept('}')) {
      if (this.accept('default')) otherwise = this.#block();
      else {
        this.expect('case', ', default or "}"');
        cases.push({ values: this.list('{', () => this.expression()), body: this.#block() });
      }
    }
    return { kind: 'switch', at, of, cases, otherwise };
  }

  #call(): Statement {
    const { at } = this.tokens.peek();
    const modifiers: Modifier[] = [];
    while (this.version === 3 && ['inv', 'pow', 'ctrl', 'negctrl'].includes(this.tokens.peek().text))
      modifiers.push(this.#modifier(this.tokens.next()));
    if (modifiers.length > nestingMax) throw this.source.tooLarge(at, `a gate has at most ${nestingMax} modifiers`);
    const { text: name } = this.name('the name of a gate');
    const args = this.tokens.peek().text === '(' ? this.args() : [];
    if (this.tokens.peek().text === '[')
      throw this.source.unsupported(this.tokens.peek().at, 'gates have no durations here');
    return this.#ended({ kind: 'call', at, modifiers, name, args, operands: this.#operands() });
  }

  #modifier({ text, at }: Token): Modifier {
    const argument = this.accept('(') ? this.expression() : undefined;
    if (argument !== undefined) this.expect(')', 'after the argument of the modifier');
    this.expect('@', `after ${text}`);
    if (text === 'inv') return { kind: 'inv' };
    if (text !== 'pow') {
      const value = text === 'ctrl' ? 1 : 0;
      return { kind: 'ctrl', at, value, ...(argument === undefined ? {} : { count: argument }) };
    }
    if (argument === undefined) throw this.source.syntax(at, 'pow needs an exponent: pow(2) @ x q;');
    return { kind: 'pow', at, exponent: argument };
  }

  #operands(): Expr[] {
    return this.list(';', () => this.#operand());
  }

  /** A name with indices, or a physical qubit. */
  #operand(): Expr {
    const token = this.tokens.peek();
    if (token.kind !== 'name' && token.kind !== 'physical') throw this.unexpected(token, 'a qubit or a register');
    return this.postfix();
  }

  #duration(): void {
    this.expect('[', 'before a duration');
    const token = this.tokens.next();
    if (token.kind !== 'duration')
      throw this.source.unsupported(token.at, 'only durations such as 100ns are supported');
    this.expect(']', 'after a duration');
  }

  #parenthesized(): Expr {
    this.expect('(', 'before the condition');
    const inner = this.expression();
    this.expect(')', 'after the condition');
    return inner;
  }

  #body(): Statement[] {
    const { at, text } = this.tokens.peek();
    if (text === '{' && this.version === 3) return this.#block();
    return this.nested(at, () => [this.#statement()]);
  }

  #block(): Statement[] {
    const { at } = this.expect('{', 'before a block');
    return this.nested(at, () => {
      const body: Statement[] = [];
      while (!this.accept('}')) {
        if (this.tokens.peek().kind === 'end')
          throw this.source.syntax(at, 'this "{" is never closed: the program ends within its block');
        body.push(this.#statement());
      }
      return body;
    });
  }
}
