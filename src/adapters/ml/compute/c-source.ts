// A source in C, without comments, as what stands at its top level.

/** A declaration or definition, from its first character to after its last. */
export interface Chunk {
  kind: 'directive' | 'function' | 'other';
  from: number;
  to: number;
}

export interface CFunction extends Chunk {
  kind: 'function';
  name: string;
  /** Of the text between the parentheses. */
  paramsFrom: number;
  paramsTo: number;
  /** Undefined for one that is declared only. */
  bodyFrom: number | undefined;
}

/** All of the source, in order; text between the chunks is space. */
export function chunksOf(source: string): (Chunk | CFunction)[] {
  const chunks: (Chunk | CFunction)[] = [];
  for (let at = nextText(source, 0); at < source.length; at = nextText(source, at)) {
    const chunk = source[at] === '#' ? directiveAt(source, at) : declarationAt(source, at);
    chunks.push(chunk);
    at = chunk.to;
  }
  return chunks;
}

/** As many spaces, so that all places and lines stay what they are. */
export const blank = (text: string): string => text.replace(/[^\n]/g, ' ');

export const isFunction = (chunk: Chunk | CFunction): chunk is CFunction => chunk.kind === 'function';

function nextText(source: string, from: number): number {
  let at = from;
  while (at < source.length && /[\s;]/.test(source[at] ?? '')) at += 1;
  return at;
}

function directiveAt(source: string, from: number): Chunk {
  let to = source.indexOf('\n', from);
  while (to > 0 && /\\\r?$/.test(source.slice(to - 2, to))) to = source.indexOf('\n', to + 1);
  return { kind: 'directive', from, to: to < 0 ? source.length : to };
}

/** Up to its semicolon; a function with a body up to the end of that. */
function declarationAt(source: string, from: number): Chunk | CFunction {
  let params: { from: number; to: number } | undefined;
  let isValue = false;
  for (let at = from; at < source.length; at += 1) {
    const character = source[at];
    if (character === '=') isValue = true;
    else if (character === ';') return chunk(source, from, at + 1, isValue ? undefined : params, undefined);
    else if (character === '(' || character === '[') {
      const to = closing(source, at);
      // Not what `__align__(16)` states of a structure, nor a later pair.
      if (character === '(' && params === undefined && !isValue && !/__align__\s*$/.test(source.slice(from, at)))
        params = { from: at + 1, to };
      at = to;
    } else if (character === '{') {
      const to = closing(source, at);
      if (params !== undefined && !isValue) return chunk(source, from, to + 1, params, at);
      at = to;
    } else if (character === '}' || character === ')') return { kind: 'other', from, to: at + 1 };
  }
  return { kind: 'other', from, to: source.length };
}

function chunk(
  source: string,
  from: number,
  to: number,
  params: { from: number; to: number } | undefined,
  bodyFrom: number | undefined,
): Chunk | CFunction {
  const name = params && /(\w+)\s*$/.exec(source.slice(Math.max(from, params.from - 200), params.from - 1))?.[1];
  if (params === undefined || name === undefined || source.startsWith('typedef', from))
    return { kind: 'other', from, to };
  return { kind: 'function', from, to, name, paramsFrom: params.from, paramsTo: params.to, bodyFrom };
}

const pairs: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** Where the bracket at a place closes; the end of what is looked at, at most so many characters, where it does not. */
export function closing(source: string, at: number, most: number = source.length): number {
  const open = source[at] ?? '(';
  const close = pairs[open];
  let depth = 0;
  const end = Math.min(source.length, at + most);
  for (let place = at; place < end; place += 1) {
    if (source[place] === open) depth += 1;
    else if (source[place] === close) depth -= 1;
    if (depth === 0) return place;
  }
  return end;
}

/** What commas outside of brackets part. */
export function listOf(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  const last = text.slice(from);
  return parts.length === 0 && last.trim() === '' ? [] : [...parts, last];
}
