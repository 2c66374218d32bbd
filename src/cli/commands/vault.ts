import { openLocalVault } from '../../compose/local-vault.ts';
import { JSONFlowError } from '../../lib/errors.ts';
import { parsePointer } from '../../lib/secrets.ts';
import { closest } from '../../lib/suggest.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit, UsageError } from '../exit.ts';
import { readText } from '../input.ts';
import { type Terminal, table } from '../terminal.ts';
import { jsonText } from './shared.ts';

const actions = ['set', 'get', 'list', 'rm'] as const;

/** `jsonflow vault`. Only `get` ever prints a value. */
export async function vault(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [word = '', pointer] = args.positionals;
  const action = actions.find((name) => name === word);
  if (action === undefined) {
    const near = closest(word, actions);
    throw new UsageError(
      `"jsonflow vault" can't ${JSON.stringify(word)}`,
      near === undefined ? 'Use set, get, list or rm.' : `Did you mean ${near}?`,
    );
  }
  if ((action === 'list') !== (pointer === undefined))
    throw new UsageError(
      action === 'list'
        ? '"jsonflow vault list" takes no name'
        : `"jsonflow vault ${action}" needs the name of a secret`,
      'See "jsonflow vault --help".',
    );
  const value = action === 'set' ? await secretFrom(terminal) : '';
  const store = await openLocalVault(args.get('data-dir') ?? '.jsonflow', terminal.env);
  if (action === 'list') {
    const secrets = await store.list();
    const rows = secrets.map(({ name, versions }) => [
      name,
      versions.at(-1)?.version ?? '',
      versions.at(-1)?.created_at ?? '',
    ]);
    terminal.out(args.has('json') ? jsonText(secrets) : table([['NAME', 'VERSION', 'SET'], ...rows]));
    return exit.ok;
  }
  const { name, version } = named(pointer ?? '');
  if (action === 'get') {
    const secret = await store.resolve(name, version);
    terminal.out(args.has('json') ? jsonText({ name, value: secret }) : `${secret}\n`);
    return exit.ok;
  }
  if (version !== undefined)
    throw new UsageError(`"jsonflow vault ${action}" takes no version`, `Name it ${JSON.stringify(name)}.`);
  if (action === 'set') {
    const set = await store.set(name, value);
    terminal.out(args.has('json') ? jsonText({ name, version: set }) : `vault://${name}#${set}\n`);
    return exit.ok;
  }
  if (!(await store.remove(name)))
    throw new JSONFlowError('SECRET_NOT_FOUND', `there is no secret ${JSON.stringify(name)}`, {
      hint: 'See "jsonflow vault list".',
    });
  terminal.out(args.has('json') ? jsonText({ name, removed: true }) : `${name} is removed.\n`);
  return exit.ok;
}

/** A value from standard input; the line end that `echo` adds is not part of it. */
async function secretFrom(terminal: Terminal): Promise<string> {
  if (terminal.inputIsTerminal)
    throw new UsageError('the value must be piped into standard input', 'printf %s "$VALUE" | jsonflow vault set NAME');
  return (await readText('-', terminal)).replace(/\r?\n$/, '');
}

/** `name`, `name#version` or the same after `vault://`. @throws JSONFlowError INVALID_PARAMS */
const named = (text: string): { name: string; version?: string } =>
  parsePointer(text.startsWith('vault://') ? text : `vault://${text}`);
