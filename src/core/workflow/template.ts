import { isObject, type JSONValue } from '../../lib/json.ts';
import type { JSONPath, PathSegment } from '../../lib/json-path.ts';

/*
 * What a string inside `params` may mean.
 *
 *   whole string    `$` name segment*        the value itself, of any type
 *   inside a string `${` name segment* `}`   the value as text
 *   escapes         `$$` at the start → `$`; `$${` anywhere else → `${`
 *   segment         `.key` | `[0]` | `["any key"]`
 *
 * Everything else is literal text, such as `$1`, `$5.00`, `$HOME/x` or `US$ 5`.
 */

/** What a reference names: a step's output or, where `stepId` is null, the run's input; and the way into it. */
export interface Target {
  /** As written, `$` included: `$load.rows[0]` or `${load.rows[0]}`. */
  text: string;
  stepId: string | null;
  path: PathSegment[];
}

export type Template =
  | { kind: 'reference'; target: Target }
  /** Literal pieces and targets in turn. `malformed` holds each `${…}` that is not a reference. */
  | { kind: 'text'; parts: (string | Target)[]; malformed: string[] };

/** The name under which references reach the run's input; no step may bear it. */
export const inputName = 'input';

// All are sticky and match one piece without ambiguity, so that parsing stays linear.
const namePiece = /[A-Za-z_][A-Za-z0-9_-]*/y;
const segmentPiece = /\.([\p{L}\p{N}_-]+)|\[(\d{1,9})\]/uy;

/** Reads `name segment*` at `start`; undefined where there is none. */
function parseTarget(
  source: string,
  start: number,
): { end: number; stepId: string | null; path: PathSegment[] } | undefined {
  namePiece.lastIndex = start;
  const name = namePiece.exec(source)?.[0];
  if (name === undefined) return undefined;
  let end = namePiece.lastIndex;
  const path: PathSegment[] = [];
  for (;;) {
    segmentPiece.lastIndex = end;
    const match = segmentPiece.exec(source);
    if (match !== null) {
      const [, key, index] = match;
      path.push(key ?? Number(index));
      end = segmentPiece.lastIndex;
      continue;
    }
    const quotedEnd = endOfQuotedSegment(source, end);
    const key = quotedEnd === undefined ? undefined : decodeKey(source.slice(end + 1, quotedEnd - 1));
    if (quotedEnd === undefined || key === undefined) break;
    path.push(key);
    end = quotedEnd;
  }
  return { end, stepId: name === inputName ? null : name, path };
}

/**
 * Where `["any key"]` at `start` ends; undefined where there is none. By hand: an alternative under a star takes a piece of the
 * regular expression engine's stack for every character, which a key of some millions exhausts.
 */
function endOfQuotedSegment(source: string, start: number): number | undefined {
  if (!source.startsWith('["', start)) return undefined;
  let at = start + 2;
  while (at < source.length && source[at] !== '"') at += source[at] === '\\' ? 2 : 1;
  return source.startsWith('"]', at) ? at + 2 : undefined;
}

function decodeKey(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
}

/** What the string means; undefined where it is literal as it stands. */
export function parseTemplate(source: string): Template | undefined {
  if (!source.includes('$')) return undefined;
  if (source.startsWith('$') && !source.startsWith('$$')) {
    const found = parseTarget(source, 1);
    if (found !== undefined && found.end === source.length) {
      return { kind: 'reference', target: { text: source, stepId: found.stepId, path: found.path } };
    }
  }
  return source.startsWith('$$') || source.includes('${') ? parseText(source) : undefined;
}

function parseText(source: string): Template {
  const parts: (string | Target)[] = [];
  const malformed: string[] = [];
  let literal = source.startsWith('$$') ? '$' : '';
  let position = literal.length * 2;
  for (;;) {
    const dollar = source.indexOf('${', position);
    if (dollar < 0) break;
    if (dollar > position && source[dollar - 1] === '$') {
      literal += `${source.slice(position, dollar - 1)}\${`;
      position = dollar + 2;
      continue;
    }
    literal += source.slice(position, dollar);
    const found = parseTarget(source, dollar + 2);
    if (found === undefined || source[found.end] !== '}') {
      const close = source.indexOf('}', dollar);
      position = close < 0 ? source.length : close + 1;
      malformed.push(source.slice(dollar, position));
      continue;
    }
    position = found.end + 1;
    if (literal !== '') parts.push(literal);
    literal = '';
    parts.push({ text: source.slice(dollar, position), stepId: found.stepId, path: found.path });
  }
  literal += source.slice(position);
  if (literal !== '' || parts.length === 0) parts.push(literal);
  return { kind: 'text', parts, malformed };
}

/** Calls `visit` for every string inside the value, with its path, which is only good during the call. */
export function visitStrings(
  value: unknown,
  visit: (text: string, at: JSONPath) => void,
  at: PathSegment[] = [],
): void {
  if (typeof value === 'string') visit(value, at);
  else if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      at.push(index);
      visitStrings(value[index] as JSONValue, visit, at);
      at.pop();
    }
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      at.push(key);
      visitStrings(value[key], visit, at);
      at.pop();
    }
  }
}
