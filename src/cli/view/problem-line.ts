import type { ValidationResult } from '../../compose/offline.ts';
import { oneLine, paint, printable } from '../terminal.ts';

type Problem = ValidationResult['problems'][number];

/** One line about a problem of a workflow. @param name of the file */
export function problemLine(name: string, { severity, line, column, path, message, suggestion }: Problem): string {
  const where = line === undefined ? `${name}: ${oneLine(path)}` : `${name}:${line}:${column}`;
  const kind = severity === 'warning' ? `${paint('yellow', 'warning')}: ` : '';
  return `${where}: ${kind}${printable(`${message}${suggestion === undefined ? '' : `. ${suggestion}`}`)}\n`;
}
