import type { Args, Command } from '../command.ts';
import { type ExitCode, exit, UsageError } from '../exit.ts';
import type { Terminal } from '../terminal.ts';

const flagsOf = (command: Command): string[] => [...Object.keys(command.options), 'help'].map((name) => `--${name}`);
const wordsOf = ({ completes }: Command): readonly string[] => (Array.isArray(completes) ? completes : []);

/** `jsonflow completion`: a script for the shell, from the table of commands. */
export const completion =
  (commands: () => readonly Command[]) =>
  async (args: Args, terminal: Terminal): Promise<ExitCode> => {
    const shell = shells.find((name) => name === args.positionals[0]);
    if (shell === undefined)
      throw new UsageError(
        `there is no completion for ${JSON.stringify(args.positionals[0])}`,
        `Use one of: ${shells.join(', ')}.`,
      );
    terminal.out(scripts[shell](commands()));
    return exit.ok;
  };

export const shells = ['bash', 'zsh', 'fish'] as const;

const scripts: Readonly<Record<(typeof shells)[number], (commands: readonly Command[]) => string>> = {
  bash,
  zsh,
  fish,
};

const choiceCases = (command: Command): [flag: string, choices: readonly string[]][] =>
  Object.entries(command.options).flatMap(([name, { choices }]): [string, readonly string[]][] =>
    choices === undefined ? [] : [[`--${name}`, choices]],
  );

function bash(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const choices = choiceCases(command).map(
      ([flag, words]) =>
        `      [[ $prev == ${flag} ]] && { COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$cur")); return; }\n`,
    );
    return `    ${command.name})\n${choices.join('')}      words="${[...flagsOf(command), ...wordsOf(command)].join(' ')}" ;;\n`;
  });
  return `# jsonflow completion for bash: source <(jsonflow completion bash)
_jsonflow() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words=""
  if [[ $COMP_CWORD == 1 ]]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help --version" -- "$cur"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('')}  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _jsonflow jsonflow
`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const zshText = (text: string): string => text.replaceAll(/[[\]:]/g, '\\$&').replaceAll("'", "'\\''");

function zsh(commands: readonly Command[]): string {
  const names = commands.map(({ name, summary }) => `    '${name}:${zshText(summary)}'\n`);
  const cases = commands.map((command) => {
    const flags = Object.entries(command.options).map(([name, { value, choices, help }]) => {
      const values = choices === undefined ? '_files' : `(${choices.join(' ')})`;
      return `'*--${name}[${zshText(help)}]${value === undefined ? '' : `:${zshText(value)}:${values}`}'`;
    });
    const words = wordsOf(command);
    const rest = words.length > 0 ? `'*:argument:(${words.join(' ')})'` : "'*:file:_files'";
    return `    ${command.name}) _arguments ${[...flags, "'--help[Show help]'", rest].join(' ')} ;;\n`;
  });
  return `#compdef jsonflow
# jsonflow completion for zsh: source <(jsonflow completion zsh)
_jsonflow() {
  local -a commands=(
${names.join('')}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('')}  esac
}
compdef _jsonflow jsonflow
`;
}

function fish(commands: readonly Command[]): string {
  const lines = commands.flatMap((command) => {
    const used = `-n '__fish_seen_subcommand_from ${command.name}'`;
    return [
      `complete -c jsonflow -n __fish_use_subcommand -f -a ${command.name} -d ${quoted(command.summary)}`,
      ...Object.entries(command.options).map(
        ([name, { value, choices, help }]) =>
          `complete -c jsonflow ${used} -l ${name}${value === undefined ? '' : ' -r'}${choices === undefined ? '' : ` -f -a '${choices.join(' ')}'`} -d ${quoted(help)}`,
      ),
      ...(wordsOf(command).length > 0 ? [`complete -c jsonflow ${used} -f -a '${wordsOf(command).join(' ')}'`] : []),
    ];
  });
  return `# jsonflow completion for fish: jsonflow completion fish | source\n${lines.join('\n')}\n`;
}
