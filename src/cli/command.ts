import { parseArgs } from 'node:util';
import { closest } from '../lib/suggest.ts';
import { type ExitCode, UsageError } from './exit.ts';
import { type Terminal, table } from './terminal.ts';

/** An option without `value` is a switch. */
export interface Option {
  /** Placeholder of its value. */
  value?: string;
  short?: string;
  multiple?: boolean;
  /** Offered by completion; other values are refused. */
  choices?: readonly string[];
  help: string;
}

/** The arguments of one call, checked against the command's options. */
export interface Args {
  positionals: readonly string[];
  /** Last value of an option. */
  get(name: string): string | undefined;
  all(name: string): readonly string[];
  has(name: string): boolean;
}

export interface Command {
  name: string;
  summary: string;
  /** Positional arguments as shown, such as `FILE`. */
  usage: string;
  /** Least and largest number of positional arguments. */
  positionals: readonly [min: number, max: number];
  /** What completion offers for positional arguments: files, or fixed words. */
  completes?: 'files' | readonly string[];
  description?: string;
  options: Readonly<Record<string, Option>>;
  examples: readonly string[];
  run(args: Args, terminal: Terminal): Promise<ExitCode>;
}

const helpOption: Option = { short: 'h', help: 'Show this help.' };

/** @throws UsageError that names the nearest option, the missing value, or the argument too many */
export function parseCommandLine(command: Command, argv: readonly string[]): Args {
  const options = { ...command.options, help: helpOption };
  const { values, positionals, tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    allowNegative: false,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(options).map(([name, { value, short }]) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', multiple: true, ...(short === undefined ? {} : { short }) },
      ]),
    ),
  });
  for (const token of tokens) if (token.kind === 'option') checkOption(command, options, token);
  const [min, max] = command.positionals;
  const isHelp = values.help !== undefined;
  if (!isHelp && (positionals.length < min || positionals.length > max))
    throw new UsageError(
      positionals.length < min
        ? `"jsonflow ${command.name}" needs ${command.usage}`
        : `unexpected argument ${JSON.stringify(positionals[max])}`,
      `Usage: jsonflow ${command.name} ${command.usage} [options]; see "jsonflow ${command.name} --help".`,
    );
  const all = (name: string): string[] => {
    const given = values[name];
    return Array.isArray(given) ? given.map(String) : [];
  };
  return { positionals, all, get: (name) => all(name).at(-1), has: (name) => values[name] !== undefined };
}

function checkOption(
  command: Command,
  options: Readonly<Record<string, Option>>,
  token: { name: string; rawName: string; value?: string | undefined },
): void {
  const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
  const see = `See "jsonflow ${command.name} --help".`;
  if (option === undefined) {
    const near = closest(token.name, Object.keys(options));
    throw new UsageError(`unknown option ${token.rawName}`, near === undefined ? see : `Did you mean --${near}?`);
  }
  if (option.value === undefined && token.value !== undefined)
    throw new UsageError(`${token.rawName} takes no value`, see);
  if (option.value !== undefined && (token.value === undefined || token.value === ''))
    throw new UsageError(`${token.rawName} needs a value: ${option.value}`, see);
  if (option.choices !== undefined && token.value !== undefined && !option.choices.includes(token.value)) {
    const near = closest(token.value, option.choices);
    throw new UsageError(
      `${token.rawName} can't be ${JSON.stringify(token.value)}`,
      near === undefined ? `Use one of: ${option.choices.join(', ')}.` : `Did you mean ${near}?`,
    );
  }
}

const optionLine = ([name, option]: [string, Option]): string[] => [
  `${option.short === undefined ? '    ' : `-${option.short}, `}--${name}${option.value === undefined ? '' : ` ${option.value}`}`,
  option.help,
];

/** The help text of one command. */
export function commandHelp(command: Command): string {
  return [
    `${command.summary}\n\nUsage: jsonflow ${command.name}${command.usage === '' ? '' : ` ${command.usage}`} [options]\n`,
    command.description === undefined ? '' : `\n${command.description}\n`,
    `\nOptions:\n${table(Object.entries({ ...command.options, help: helpOption }).map(optionLine), '  ')}`,
    `\nExamples:\n${command.examples.map((example) => `  ${example}\n`).join('')}`,
  ].join('');
}

/** The help text of the whole. */
export function overallHelp(commands: readonly Command[]): string {
  return [
    'JSONFlow runs JSON workflows across machines that need not trust each other, and proves what ran.\n',
    '\nUsage: jsonflow COMMAND [options]\n',
    `\nCommands:\n${table(
      commands.map(({ name, summary }) => [name, summary]),
      '  ',
    )}`,
    '\nExamples:\n  jsonflow run workflow.json --bundle proof.json\n  jsonflow verify proof.json --trust keys.json\n  jsonflow dev --workers 3\n',
    '\n"jsonflow COMMAND --help" says more about each.\n',
    'Exit codes: 0 done or valid, 1 the run failed, 2 bad usage or invalid workflow, 3 signers not pinned,\n4 verification failed, 5 node unreachable.\n',
  ].join('');
}

/** @throws UsageError with the nearest command */
export function findCommand(commands: readonly Command[], name: string): Command {
  const found = commands.find((command) => command.name === name);
  if (found !== undefined) return found;
  const near = closest(
    name,
    commands.map((command) => command.name),
  );
  throw new UsageError(
    `unknown command ${JSON.stringify(name)}`,
    near === undefined ? 'See "jsonflow --help".' : `Did you mean "jsonflow ${near}"?`,
  );
}
