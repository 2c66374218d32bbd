import { clip } from '../../../lib/clip.ts';
import type { LogLine } from '../types.ts';

const logLinesMax = 100;
/** UTF-16 units of a line. */
const logLineMax = 1000;

/** The first lines that a module logged. */
export class LogBook {
  readonly #lines: LogLine[] = [];

  add(level: LogLine['level'], text: string): void {
    if (this.#lines.length < logLinesMax) this.#lines.push({ level, text: clip(text, logLineMax) });
  }

  lines(): LogLine[] {
    return this.#lines.map((line) => ({ ...line }));
  }
}
