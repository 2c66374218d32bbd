import { readRows } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { sendAhead } from '../ahead.ts';
import type { Call } from '../driver.ts';
import { type Command, parseCommand, parseCommands, type Reference, storedValue } from './commands.ts';
import { replyError } from './errors.ts';
import { type Link, Refusal } from './link.ts';
import { partsOf, type Raw, replyOf } from './replies.ts';
import { type Program, programArguments, script } from './script.ts';

/** `db_insert`: `commands`, `key` and `value`, or `data` with `key_field`. */
export async function insert(params: JSONObject, call: Call, link: Link): Promise<JSONObject> {
  const existing = onExisting(params);
  if (params.commands !== undefined) return inserted(await runCommands(params, call, link));
  const absent = existing === 'update' ? undefined : existing;
  if (params.data !== undefined) {
    const count = await rows(params, call, link, absent);
    return { inserted: count, affected_rows: count };
  }
  const command = setCommand(params);
  const program: Program = { commands: [command], ...(absent && { absent }) };
  const [reply = null] = await run(link, program, call.effectKey, () => 'params.key');
  const count = reply === null ? 0 : 1;
  const key = String(params.key);
  return { inserted: count, inserted_id: key, affected_rows: count };
}

/** `db_update`: `commands`; `key` and `value`; `key` or `keys` with `delete: true`; or `data` with `key_field`. */
export async function update(params: JSONObject, call: Call, link: Link): Promise<JSONObject> {
  if (params.commands !== undefined) {
    const { results, affected_rows } = await runCommands(params, call, link);
    return { updated: affected_rows, affected_rows, results, result: results };
  }
  const count = await updated(params, call, link);
  return { updated: count, affected_rows: count };
}

async function updated(params: JSONObject, call: Call, link: Link): Promise<number> {
  if (params.data !== undefined) return rows(params, call, link, undefined);
  if (params.delete === true) {
    const keys = Array.isArray(params.keys) ? params.keys : [params.key ?? null];
    const command = parseCommand(['UNLINK', ...keys], 'params.keys', { write: true });
    const [reply = null] = await run(link, { commands: [command] }, call.effectKey, () => 'params.keys');
    return Number(replyOf(command, reply));
  }
  await run(link, { commands: [setCommand(params)] }, call.effectKey, () => 'params.key');
  return 1;
}

/** `db_transaction`: `operations` or `commands`, all or none, with earlier replies usable in later ones. */
export async function transaction(params: JSONObject, call: Call, link: Link): Promise<JSONObject> {
  const commands = parseOperations(params);
  const name = params.operations === undefined ? 'commands' : 'operations';
  const replies = await run(link, { commands }, call.effectKey, (index) => `params.${name}[${index}]`);
  const results = commands.map((command, index) => replyOf(command, replies[index] ?? null));
  return { transaction_completed: true, operations_count: commands.length, results };
}

function parseOperations(params: JSONObject): Command[] {
  const list = params.operations ?? params.commands;
  if (!Array.isArray(list) || (params.operations !== undefined && params.commands !== undefined))
    throw invalid('params: give operations, a list of { "id"?, "command": ["INCR", "key"] }, or commands');
  const commands: Command[] = [];
  const indexes = new Map<string, number>();
  const reference = (text: string, where: string): Reference => referenceOf(text, where, indexes, commands);
  for (const [index, one] of list.entries()) {
    const where = `params.${params.operations === undefined ? 'commands' : 'operations'}[${index}]`;
    const command = Array.isArray(one) ? one : isObject(one) ? one.command : undefined;
    commands.push(parseCommand(command as JSONValue | undefined, where, { write: true, reference }));
    const id = isObject(one) && typeof one.id === 'string' ? one.id : String(index);
    if (indexes.has(id)) throw invalid(`${where}: the id "${id}" is taken by an earlier operation`);
    indexes.set(id, index);
  }
  return commands;
}

function referenceOf(
  text: string,
  where: string,
  indexes: ReadonlyMap<string, number>,
  commands: readonly Command[],
): Reference {
  const [id = '', ...parts] = text.split('.');
  const operation = indexes.get(id);
  const command = operation === undefined ? undefined : commands[operation];
  if (operation === undefined || command === undefined)
    throw invalid(`${where}: $result names "${id}", which is no earlier operation`);
  const kind = partsOf(command);
  if (kind === 'none' && parts.length > 0)
    throw invalid(
      `${where}: parts of a ${command.name} reply can't be used here; read the part with a command of its own`,
    );
  const path = parts.map((part) => (kind === 'items' && /^\d{1,9}$/.test(part) ? Number(part) : part));
  if (kind === 'items' && path.some((part) => typeof part === 'string'))
    throw invalid(`${where}: the reply of ${command.name} is a list or a plain value: name its parts by index`);
  return { operation, path };
}

interface Ran {
  results: JSONValue[];
  affected_rows: number;
}

async function runCommands(params: JSONObject, call: Call, link: Link): Promise<Ran> {
  const commands = parseCommands(params.commands, 'commands', { write: true });
  const replies = await run(link, { commands }, call.effectKey, (index) => `params.commands[${index}]`);
  const results = commands.map((command, index) => replyOf(command, replies[index] ?? null));
  return { results, affected_rows: commands.length };
}

const inserted = ({ results, affected_rows }: Ran): JSONObject => ({
  inserted: affected_rows,
  affected_rows,
  results,
  result: results,
});

function setCommand({ key, value, ttl_ms }: JSONObject): Command {
  if (typeof key !== 'string' || value === undefined)
    throw invalid('params: give key and value, commands, or data with key_field');
  const args = [key, storedValue(value, 'params.value')];
  return { name: 'SET', args: typeof ttl_ms === 'number' ? [...args, 'PX', String(ttl_ms)] : args };
}

function onExisting({ if_exists = 'error' }: JSONObject): 'error' | 'ignore' | 'update' {
  if (if_exists === 'error' || if_exists === 'ignore' || if_exists === 'update') return if_exists;
  throw invalid('params.if_exists must be "error", "ignore" or "update"');
}

/** Each row becomes a hash. Batches are atomic, one by one, each under a key of its own. */
async function rows(params: JSONObject, call: Call, link: Link, absent: Program['absent']): Promise<number> {
  const { key_field, key_prefix = '', ttl_ms } = params;
  if (typeof key_field !== 'string') throw invalid('params.data needs key_field: the field whose value names the key');
  const shape = {
    ...(absent && { absent }),
    type: 'hash',
    ...(typeof ttl_ms === 'number' && { expireMs: ttl_ms }),
  } as const;
  const batches = hashes(params.data, call, (row, index) => hashCommand(row, key_field, String(key_prefix), index));
  return sendAhead(batches, async ({ commands, from }) => {
    call.signal.throwIfAborted();
    if (absent === 'error') refuseTwice(commands, from);
    const effectKey = call.effectKey === undefined ? undefined : `${call.effectKey}/${from}`;
    const where = (index: number): string => `params.data[${from + index}]`;
    const replies = await run(link, { commands, ...shape }, effectKey, where, from);
    call.reached?.('batch');
    return replies.filter((reply) => reply !== null).length;
  });
}

interface Batch {
  commands: Command[];
  /** Index of the first row among all. */
  from: number;
}

async function* hashes(
  data: JSONValue | undefined,
  { context, options }: Call,
  commandOf: (row: JSONObject, index: number) => Command,
): AsyncGenerator<Batch> {
  let index = 0;
  let commands: Command[] = [];
  for await (const some of readRows(data, 'params.data', context))
    for (const row of some) {
      commands.push(commandOf(row, index));
      index += 1;
      if (commands.length < options.batch_size) continue;
      yield { commands, from: index - commands.length };
      commands = [];
    }
  if (commands.length > 0) yield { commands, from: index - commands.length };
}

function hashCommand(row: JSONObject, keyField: string, prefix: string, index: number): Command {
  const where = `params.data[${index}]`;
  const name = row[keyField];
  if (typeof name !== 'string' && typeof name !== 'number')
    throw invalid(`${where}.${keyField} must be text or a number: it names the key`);
  const args: (string | Buffer)[] = [`${prefix}${name}`];
  // Another attempt may see the same row with its names in another order.
  for (const field of Object.keys(row).sort()) {
    const value = row[field];
    if (value !== null && value !== undefined) args.push(field, storedValue(value, `${where}.${field}`));
  }
  return { name: 'HSET', args };
}

function refuseTwice(batch: readonly Command[], from: number): void {
  const seen = new Set<string>();
  for (const [index, { args }] of batch.entries()) {
    const key = String(args[0]);
    if (seen.has(key))
      throw new StepError('CONSTRAINT_VIOLATED', `params.data[${from + index}]: its key occurs twice in the data`);
    seen.add(key);
  }
}

/** One atomic call. @param from rows that went before, for errors @throws StepError */
async function run(
  link: Link,
  program: Program,
  effectKey: string | undefined,
  where: (index: number) => string,
  from = 0,
): Promise<Raw[]> {
  if (program.commands.length === 0) return [];
  const reply = await evaluate(link, programArguments(program, effectKey));
  const [status, detail = null, problem = null] = Array.isArray(reply) ? reply : [];
  if ((String(status) === 'done' || String(status) === 'again') && Array.isArray(detail)) return detail;
  const index = Number(detail) - 1;
  const command = program.commands[index];
  const at = `${where(index)}${command === undefined ? '' : ` (${command.name})`}`;
  const undone = from === 0 ? 'nothing was done' : `the ${from} rows before this batch are stored`;
  switch (String(status)) {
    case 'conflict':
      throw new StepError(
        'EFFECT_CONFLICT',
        'this step has written already, with other params: its effect is not repeated',
      );
    case 'exists':
      throw new StepError(
        'CONSTRAINT_VIOLATED',
        `${at}: its key is there already; ${undone}. Use if_exists: "update" or "ignore"`,
      );
    case 'type':
      throw new StepError('QUERY_FAILED', `${at}: its key holds something else than a hash; ${undone}`);
    case 'reference':
      throw new StepError(
        'REFERENCE_FAILED',
        `${at}, argument ${Number(problem)}: the earlier reply has no such value; ${undone}`,
      );
    case 'large':
      throw new StepError(
        'UNSUPPORTED',
        `${at}: several commands over values of more than 16 MiB can't be all or nothing; use steps of one command each`,
      );
    default:
      throw replyError(String(problem), `${at}, nothing was done: `);
  }
}

async function evaluate(link: Link, args: (string | Buffer)[]): Promise<Raw> {
  try {
    return await link.send(['EVALSHA', script.sha, ...args]);
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    if (!thrown.message.startsWith('NOSCRIPT')) throw replyError(thrown.message);
  }
  try {
    return await link.send(['EVAL', script.source, ...args]);
  } catch (thrown) {
    throw thrown instanceof Refusal ? replyError(thrown.message) : thrown;
  }
}

const invalid = (message: string): StepError => new StepError('INVALID_PARAMS', message);
