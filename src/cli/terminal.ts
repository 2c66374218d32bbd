import { styleText } from 'node:util';

/** Where a command reads and writes. */
export interface Terminal {
  /** Results: what a script reads. */
  out(text: string): void;
  /** Everything else: progress, notes, errors. */
  err(text: string): void;
  /** All of standard input. */
  readInput(): Promise<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether standard error is a terminal that can be redrawn. */
  readonly interactive: boolean;
  /** Whether standard input is a terminal, so that nothing can be expected from it. */
  readonly inputIsTerminal: boolean;
  size(): { columns: number; rows: number };
  /** Calls back when the size changes; the returned function stops that. */
  onResize(fn: () => void): () => void;
  /** Calls back when nobody reads standard output any more, which shows when it is written; the returned function stops that. */
  onReaderGone(fn: () => void): () => void;
  /** Calls back on SIGINT and SIGTERM; the returned function stops that. */
  onInterrupt(fn: (signal: 'SIGINT' | 'SIGTERM') => void): () => void;
}

/** The largest input that is read, so that a wrong pipe does not fill the memory. */
const INPUT_BYTES_MAX = 256 * 1024 * 1024;
/** A terminal's Ctrl-C and its forwarding by the launcher arrive as two signals: within this time they are one. */
const INTERRUPT_GAP_MS = 250;

/** The terminal of this process. */
export function processTerminal(): Terminal {
  return {
    out: writerTo(process.stdout),
    err: writerTo(process.stderr),
    env: process.env,
    interactive: process.stderr.isTTY === true && process.env.TERM !== 'dumb',
    inputIsTerminal: process.stdin.isTTY === true,
    size: () => ({ columns: process.stderr.columns ?? process.stdout.columns ?? 120, rows: process.stderr.rows ?? 24 }),
    async readInput() {
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
        size += chunk.byteLength;
        if (size > INPUT_BYTES_MAX) throw new RangeError('standard input is larger than 256 MiB');
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    },
    onResize(fn) {
      process.stderr.on('resize', fn);
      return () => process.stderr.off('resize', fn);
    },
    onReaderGone(fn) {
      const heard = (error: NodeJS.ErrnoException): void => {
        if (error.code === 'EPIPE') fn();
      };
      process.stdout.on('error', heard);
      return () => process.stdout.off('error', heard);
    },
    onInterrupt(fn) {
      let last = Number.NEGATIVE_INFINITY;
      const heard = (signal: NodeJS.Signals): void => {
        const now = performance.now();
        if (now - last < INTERRUPT_GAP_MS) return;
        last = now;
        fn(signal === 'SIGTERM' ? 'SIGTERM' : 'SIGINT');
      };
      process.on('SIGINT', heard).on('SIGTERM', heard);
      return () => process.off('SIGINT', heard).off('SIGTERM', heard);
    },
  };
}

/** Writes until the reader has left. Whoever runs the process handles the stream's errors. */
function writerTo(stream: NodeJS.WriteStream): (text: string) => void {
  let read = true;
  stream.on('error', () => {
    read = false;
  });
  return (text) => {
    if (read) stream.write(text);
  };
}

export type Style = Parameters<typeof styleText>[0];

/** Colour for standard error, where it shows any; `NO_COLOR` and pipes are honoured. */
export const paint = (style: Style, text: string): string =>
  styleText(style, text, { stream: process.stderr, validateStream: true });

/** The same for standard output: the two may lead to different places. */
export const paintOut = (style: Style, text: string): string =>
  styleText(style, text, { stream: process.stdout, validateStream: true });

/** Control characters of foreign text would steer the reader's terminal. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to remove
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

/** The same, on one line: a line break in foreign text would pass for a line of ours. */
export const oneLine = (text: string): string => printable(text).replaceAll('\n', ' ');

/** At most `width` characters. */
export const clip = (text: string, width: number): string => {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
};

/** Rows as aligned columns; the last one is not padded. */
export function table(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, [...cell].length);
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - [...cell].length),
      );
      return `${indent}${cells.join('  ')}`.trimEnd();
    })
    .map((line) => `${line}\n`)
    .join('');
}

/** `12 ms`, `3.4 s`, `2 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 3600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
