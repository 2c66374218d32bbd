import { visit } from 'jsonc-parser';
import type { PathSegment } from '../../lib/json-path.ts';
import { type Finding, quoted, type Report } from './report.ts';

/** Reports every key that an object of a sound JSON text has twice, where it comes again. */
export function reportDuplicateKeys(text: string, report: Report): void {
  const seen: Set<string>[] = [];
  visit(text, {
    onObjectBegin: () => {
      seen.push(new Set());
    },
    onObjectEnd: () => {
      seen.pop();
    },
    onObjectProperty: (key, _offset, _length, startLine, startCharacter, path) => {
      const keys = seen.at(-1);
      if (keys?.has(key)) {
        report.add('DUPLICATE_KEY', [...path(), key], `the key ${quoted(key)} is there twice`, {
          atKey: true,
          line: startLine + 1,
          column: startCharacter + 1,
          suggestion: 'Keep one of the two: readers of JSON disagree about which one counts.',
        });
      }
      keys?.add(key);
    },
  });
}

/** A place that is looked for: the findings' paths as a tree. */
interface Wanted {
  children: Map<PathSegment, Wanted>;
  key?: Position;
  value?: Position;
}

interface Position {
  line: number;
  column: number;
}

/**
 * Gives every finding its line and column in a sound JSON text, in one pass that skips what nobody asks for. A path that leads
 * to nothing, such as that of a missing field, gets the place of the nearest value around it.
 */
export function locate(text: string, findings: readonly Finding[]): void {
  const root: Wanted = { children: new Map() };
  const lost = findings.filter(({ line }) => line === undefined);
  if (lost.length === 0) return;
  for (const { path } of lost) {
    let node = root;
    for (const segment of path) {
      let child = node.children.get(segment);
      if (child === undefined) {
        child = { children: new Map() };
        node.children.set(segment, child);
      }
      node = child;
    }
  }
  record(text, root);
  for (const finding of lost) Object.assign(finding, positionOf(finding, root));
}

function positionOf({ path, atKey }: Finding, root: Wanted): Position | undefined {
  let node: Wanted | undefined = root;
  let position = root.value;
  for (const segment of path) {
    node = node.children.get(segment);
    if (node?.value === undefined) return position;
    position = node.value;
  }
  return (atKey ? node.key : undefined) ?? position;
}

/** Notes the positions of all wanted keys and values. Of a duplicate key the last one counts, as for JSON.parse. */
function record(text: string, root: Wanted): void {
  const frames: { wanted: Wanted | undefined; index: number }[] = [];
  /** What is wanted of the value that comes next. */
  let next: Wanted | undefined = root;
  const begin = (index: number) => (_offset: number, _length: number, line: number, column: number) => {
    const wanted = next;
    if (wanted !== undefined) wanted.value = { line: line + 1, column: column + 1 };
    frames.push({ wanted, index });
    next = index < 0 ? undefined : wanted?.children.get(index);
    // False skips all that is inside.
    return wanted !== undefined && wanted.children.size > 0;
  };
  const end = () => {
    frames.pop();
    next = undefined;
  };
  visit(text, {
    onObjectBegin: begin(-1),
    onArrayBegin: begin(0),
    onObjectEnd: end,
    onArrayEnd: end,
    onObjectProperty: (key, _offset, _length, line, column) => {
      next = frames.at(-1)?.wanted?.children.get(key);
      if (next !== undefined) next.key = { line: line + 1, column: column + 1 };
    },
    onLiteralValue: (_value, _offset, _length, line, column) => {
      if (next !== undefined) next.value = { line: line + 1, column: column + 1 };
      next = undefined;
    },
    onSeparator: (character) => {
      const frame = frames.at(-1);
      if (character !== ',' || frame === undefined || frame.index < 0) return;
      next = frame.wanted?.children.get(++frame.index);
    },
  });
}
