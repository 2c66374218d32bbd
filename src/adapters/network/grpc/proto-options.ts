import type { TokenReader } from './tokens.ts';

/** A value as written, or one in braces, which is only read over. */
export type OptionValue = { text: string } | 'aggregate';
/** Options by name; custom ones, whose names stand in parentheses, are left out. */
export type Options = Map<string, OptionValue>;

export const isPlain = (value: OptionValue | undefined): value is { text: string } =>
  value !== undefined && value !== 'aggregate';

/** Readers of options of a .proto file. */
export const options = {
  /** What follows the word `option`. */
  statement(tokens: TokenReader, into: Options): void {
    assignment(tokens, into);
    tokens.expect(';');
  },
  /** `[a = 1, (b).c = { … }]`, or nothing. */
  list(tokens: TokenReader): Options {
    const found: Options = new Map();
    if (!tokens.accept('[')) return found;
    do assignment(tokens, found);
    while (tokens.accept(','));
    tokens.expect(']');
    return found;
  },
};

function assignment(tokens: TokenReader, into: Options): void {
  let custom = false;
  let name = '';
  do {
    if (tokens.accept('(')) {
      custom = true;
      tokens.path();
      tokens.expect(')');
    } else name += `${name === '' ? '' : '.'}${tokens.name()}`;
  } while (tokens.accept('.'));
  tokens.expect('=');
  const value = constant(tokens);
  if (!custom) into.set(name, value);
}

function constant(tokens: TokenReader): OptionValue {
  const { kind, text } = tokens.current;
  if (text === '{' && kind === 'symbol') {
    skipBraces(tokens);
    return 'aggregate';
  }
  if (kind === 'text') return { text: tokens.text() };
  const sign = tokens.accept('-') ? '-' : tokens.accept('+') ? '' : '';
  if (tokens.current.kind === 'number') return { text: sign + tokens.next().text };
  return { text: sign + tokens.path() };
}

function skipBraces(tokens: TokenReader): void {
  let depth = 0;
  do {
    const { kind, text } = tokens.current;
    if (kind === 'end') throw tokens.error('"}" is missing before');
    if (kind === 'symbol' && text === '{') depth += 1;
    if (kind === 'symbol' && text === '}') depth -= 1;
    tokens.next();
  } while (depth > 0);
}
