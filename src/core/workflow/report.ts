import type { JSONPath } from '../../lib/json-path.ts';
import { closest } from '../../lib/suggest.ts';
import type { Problem, ProblemCode } from '../../lib/validation-error.ts';

/** A problem before its path is written out and its place in the source is looked up. */
export interface Finding {
  code: ProblemCode;
  severity: Problem['severity'];
  path: JSONPath;
  /** Whether the key at `path` is to blame, and not its value. */
  atKey: boolean;
  message: string;
  suggestion?: string;
  line?: number;
  column?: number;
}

export interface Place {
  severity?: Problem['severity'];
  atKey?: boolean;
  suggestion?: string | undefined;
  line?: number;
  column?: number;
}

/** Of errors and of warnings each. */
const findingsMax = 1_000;
const suggestionsMax = 100;

/** Collects what is wrong. Keeps a bounded number of findings. */
export class Report {
  readonly findings: Finding[] = [];
  errors = 0;
  #warnings = 0;
  #suggestions = 0;

  add(code: ProblemCode, path: JSONPath, message: string, place: Place = {}): void {
    const { severity = 'error', atKey = false, suggestion, line, column } = place;
    const count = severity === 'error' ? ++this.errors : ++this.#warnings;
    if (count > findingsMax) return;
    const finding: Finding = { code, severity, path: [...path], atKey, message };
    if (suggestion !== undefined) finding.suggestion = suggestion;
    if (line !== undefined) finding.line = line;
    if (column !== undefined) finding.column = column;
    this.findings.push(finding);
  }

  /** Whether there are so many errors that looking for more is of no use. */
  get full(): boolean {
    return this.errors > findingsMax;
  }

  /** The candidate that was probably meant. Looked for a limited number of times, because each look costs. */
  closest(word: string, candidates: Iterable<string>): string | undefined {
    return ++this.#suggestions > suggestionsMax ? undefined : closest(word, candidates);
  }

  /** `Did you mean "…"?`, or undefined. */
  didYouMean(word: string, candidates: Iterable<string>): string | undefined {
    const found = this.closest(word, candidates);
    return found === undefined ? undefined : `Did you mean ${quoted(found)}?`;
  }
}

const textShownMax = 60;

/** A text for a message: in double quotes, and not at length. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > textShownMax ? `${text.slice(0, textShownMax).toWellFormed()}…` : text.toWellFormed());

/** The kind of a JSON value in words, without the value. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return value === '' ? 'an empty text' : 'a text';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'number') return 'a number';
  return typeof value === 'boolean' ? 'true or false' : `a value of type ${typeof value}`;
}

/** A JSON value in words: short ones as they are. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value === '' ? 'an empty text' : `the text ${quoted(value)}`;
  if (typeof value === 'number') return `the number ${value}`;
  return typeof value === 'boolean' ? String(value) : kindOf(value);
}

/** `a, b or c`. */
export const alternatives = (words: readonly string[]): string =>
  words.length < 2 ? (words[0] ?? 'nothing') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
