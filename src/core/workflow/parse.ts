import { createScanner, type ParseErrorCode, printParseErrorCode, visit } from 'jsonc-parser';
import { limits } from '../../protocol/limits.ts';
import type { Report } from './report.ts';

/*
 * Sound JSON is read by JSON.parse alone, and one look at the text proves that it has no duplicate keys: it has as many members
 * as the value. Places in the source are only looked for when there is something to report.
 */

/**
 * Reads the source of a workflow and reports what JSON forbids: every syntax error with its place, and sources that are too
 * large or too deep. Duplicate keys show where the value has fewer `members` than the text.
 *
 * @returns undefined where there is no value to go on with
 */
export function parseSource(text: string, report: Report): { value: unknown; members: number } | undefined {
  if (text.length > limits.workflowBytesMax || Buffer.byteLength(text) > limits.workflowBytesMax) {
    report.add('TOO_LARGE', [], `the workflow is larger than ${limits.workflowBytesMax / 2 ** 20} MiB`);
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    reportSyntax(text, thrown, report);
    return undefined;
  }
  const { members, tooDeepAt } = survey(text);
  if (tooDeepAt === undefined) return { value, members };
  reportTooDeep(text, tooDeepAt, report);
  return undefined;
}

/** Counts the members of all objects in a sound JSON text, and finds the first bracket that is nested too deep. */
function survey(text: string): { members: number; tooDeepAt?: number } {
  let members = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = closingQuote(text, at);
        break;
      case 0x3a: // :
        members++;
        break;
      case 0x7b: // {
      case 0x5b: // [
        if (++depth > limits.jsonDepthMax) return { members, tooDeepAt: at };
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
    }
  }
  return { members };
}

function closingQuote(text: string, open: number): number {
  for (let at = open + 1; ; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) return at;
  }
}

function reportTooDeep(text: string, offset: number, report: Report): void {
  report.add(
    'TOO_DEEP',
    [],
    `the workflow is nested deeper than ${limits.jsonDepthMax} levels`,
    lineAndColumn(text, offset),
  );
}

function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (const { index, 0: lineBreak } of text.slice(0, offset).matchAll(/\r\n?|\n/g)) {
    line++;
    start = index + lineBreak.length;
  }
  return { line, column: offset - start + 1 };
}

const syntaxMessages: Partial<Record<ReturnType<typeof printParseErrorCode>, string>> = {
  InvalidSymbol: 'this is not JSON: expected a value, a quoted key or a bracket',
  InvalidNumberFormat: 'this is not a JSON number',
  PropertyNameExpected: 'expected a key in double quotes',
  ValueExpected: 'expected a value',
  ColonExpected: 'expected a colon after the key',
  CommaExpected: 'expected a comma',
  CloseBraceExpected: 'expected a closing brace }',
  CloseBracketExpected: 'expected a closing bracket ]',
  EndOfFileExpected: 'expected the end: something follows the JSON value',
  InvalidCommentToken: 'comments are not allowed in JSON',
  UnexpectedEndOfComment: 'a comment without an end; comments are not allowed in JSON',
  UnexpectedEndOfString: 'a text without its closing quote',
  UnexpectedEndOfNumber: 'a number that breaks off',
  InvalidUnicode: 'a \\u escape needs four hexadecimal digits',
  InvalidEscapeCharacter: 'this escape is not allowed in JSON texts',
  InvalidCharacter: 'control characters in texts must be escaped',
};

/** Nesting up to which the recursive parser is used to find further errors. */
const recursionMax = 1_000;

function reportSyntax(text: string, thrown: unknown, report: Report): void {
  if (text.trim() === '') {
    report.add('SYNTAX', [], 'the source is empty', {
      line: 1,
      column: 1,
      suggestion: 'Start with { "workflow": "…", "steps": [ … ] }.',
    });
    return;
  }
  const tooDeepAt = offsetBelow(text, recursionMax);
  if (tooDeepAt !== undefined) {
    reportTooDeep(text, tooDeepAt, report);
    return;
  }
  let lastOffset = -1;
  visit(
    text,
    {
      onError: (code: ParseErrorCode, offset, _length, startLine, startCharacter) => {
        // One mistake raises several errors at one place: the first says it best.
        if (offset === lastOffset) return;
        lastOffset = offset;
        const message = syntaxMessages[printParseErrorCode(code)] ?? 'this is not JSON';
        report.add('SYNTAX', [], message, { line: startLine + 1, column: startCharacter + 1 });
      },
    },
    { disallowComments: true, allowTrailingComma: false },
  );
  if (report.errors > 0) return;
  // The tolerant parser saw nothing wrong; JSON.parse names the offset of what it saw.
  const offset = /position (\d+)/.exec(thrown instanceof Error ? thrown.message : '')?.[1];
  report.add('SYNTAX', [], 'this is not JSON', offset === undefined ? {} : lineAndColumn(text, Number(offset)));
}

/** `SyntaxKind.EOF`, a const enum that can't be imported where types are only stripped. */
const endOfFile = 17;

/** Where the tokens nest deeper than `depthMax`, whether or not they make sense. */
function offsetBelow(text: string, depthMax: number): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  while (scanner.scan() !== endOfFile) {
    const first = text[scanner.getTokenOffset()];
    if (first === '{' || first === '[') depth++;
    else if (first === '}' || first === ']') depth--;
    if (depth > depthMax) return scanner.getTokenOffset();
  }
  return undefined;
}
