import { main } from '../../src/cli/main.ts';
import type { Terminal } from '../../src/cli/terminal.ts';

/** One call of the command line within this process, with what it wrote. */
export async function call(
  argv: readonly string[],
  options: { input?: string; env?: Record<string, string> } = {},
): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const terminal: Terminal = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    readInput: async () => Buffer.from(options.input ?? ''),
    env: options.env ?? {},
    interactive: false,
    inputIsTerminal: options.input === undefined,
    size: () => ({ columns: 100, rows: 30 }),
    onResize: () => () => {},
    onReaderGone: () => () => {},
    onInterrupt: () => () => {},
  };
  const code = await main(argv, terminal);
  return { code, out, err };
}
