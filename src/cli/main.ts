import { inspect } from 'node:util';
import { isObject } from '../lib/json.ts';
import { productVersion } from '../protocol/version.ts';
import { commandHelp, findCommand, overallHelp, parseCommandLine } from './command.ts';
import { commands } from './commands.ts';
import { describeFailure, type ExitCode, exit, failureOf } from './exit.ts';
import { paint, printable, processTerminal, type Terminal } from './terminal.ts';

/**
 * One call of `jsonflow`.
 * @param argv without node and script
 * @returns the exit code; never throws
 */
export async function main(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const [name = '--help', ...rest] = argv;
    if (name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
      terminal.out(overallHelp(commands));
      return argv.length === 0 ? exit.usage : exit.ok;
    }
    if (name === '--version' || name === '-v') {
      terminal.out(`${productVersion}\n`);
      return exit.ok;
    }
    if (name === 'help') {
      terminal.out(commandHelp(findCommand(commands, rest[0] ?? '')));
      return exit.ok;
    }
    const command = findCommand(commands, name);
    const args = parseCommandLine(command, rest);
    if (args.has('help')) {
      terminal.out(commandHelp(command));
      return exit.ok;
    }
    return await command.run(args, terminal);
  } catch (error) {
    const { code, what, todo } = describeFailure(error);
    terminal.err(`${paint('red', 'Error:')} ${printable(what).replaceAll('\n', ' ')}\n`);
    if (error instanceof Error && 'problems' in error) terminal.err(problemLines(error.problems));
    terminal.err(`${printable(todo).replaceAll('\n', ' ')}\n`);
    // On one line: some commands print a line for each event.
    if (argv.includes('--json')) terminal.out(`${JSON.stringify({ error: failureOf(error) })}\n`);
    if (terminal.env.JSONFLOW_DEBUG === '1') terminal.err(`${inspect(error)}\n`);
    return code;
  }
}

const PROBLEMS_SHOWN_MAX = 20;

/** The findings behind an error, one a line. */
function problemLines(problems: unknown): string {
  if (!Array.isArray(problems)) return '';
  const lines = problems.slice(0, PROBLEMS_SHOWN_MAX).map((problem: unknown) => {
    if (!isObject(problem)) return '';
    const where = typeof problem.line === 'number' ? `${problem.line}:${problem.column}` : problem.path;
    const suggestion = typeof problem.suggestion === 'string' ? `. ${problem.suggestion}` : '';
    return `  ${printable(`${where ?? ''}: ${problem.message}${suggestion}`).replaceAll('\n', ' ')}\n`;
  });
  const more = problems.length - lines.length;
  return lines.join('') + (more > 0 ? `  and ${more} more\n` : '');
}

const EXIT_GRACE_MS = 3000;

/** Runs the command line of this process and sets its exit code. */
export async function runCommandLine(): Promise<void> {
  tether();
  // A reader that leaves early, such as `head`, is no error: the command goes on, and its exit code says how it ended.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') process.exit(exit.runFailed);
    });
  const code = await main(process.argv.slice(2), processTerminal());
  process.exitCode = code;
  // A slow reader gets everything, however long it takes.
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // What a driver holds open by mistake must not keep the caller waiting.
  setTimeout(() => process.exit(code), EXIT_GRACE_MS).unref();
}

/** Resolves when everything was written, or can't be. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => stream.write('', () => resolve()));

/** A process that was started by a launcher ends with it, even when the launcher is killed and can forward nothing. */
function tether(): void {
  if (process.env.JSONFLOW_TETHERED === undefined) return;
  delete process.env.JSONFLOW_TETHERED;
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
}
