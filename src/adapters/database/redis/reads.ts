import { RowSink } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Call } from '../driver.ts';
import { type Command, commandsMax, parseCommands } from './commands.ts';
import { replyError } from './errors.ts';
import { type Link, Refusal } from './link.ts';
import { plain, type Raw, replyOf } from './replies.ts';

/** `db_query`: `commands`, or `key`/`keys`, or `pattern`. */
export async function query(params: JSONObject, { context, options }: Call, link: Link): Promise<JSONObject> {
  const { commands, key, keys, pattern } = params;
  if (
    [commands, key ?? keys, pattern].filter((one) => one !== undefined).length !== 1 ||
    (key !== undefined && keys !== undefined)
  )
    throw new StepError('INVALID_PARAMS', 'params: give one of commands, key, keys and pattern');
  if (commands !== undefined) {
    const parsed = parseCommands(commands, 'commands', { write: false });
    const replies = await pipeline(link, parsed, (index) => `params.commands[${index}]`);
    const rows = parsed.map((command, index) => replyOf(command, replies[index] ?? null));
    return { rows, row_count: rows.length };
  }
  const sink = new RowSink(context, options.max_rows);
  if (pattern === undefined) {
    const names = key === undefined ? namesOf(keys) : [String(key)];
    for (let from = 0; from < names.length; from += options.batch_size)
      await sink.add(await valuesOf(link, names.slice(from, from + options.batch_size)));
  } else await scan(params, link, sink, options.batch_size);
  const fields = pattern === undefined || params.values === true ? ['key', 'type', 'value'] : ['key'];
  return { ...(await sink.end()), fields } as unknown as JSONObject;
}

function namesOf(keys: JSONValue | undefined): string[] {
  if (!Array.isArray(keys) || keys.some((one) => typeof one !== 'string'))
    throw new StepError('INVALID_PARAMS', 'params.keys must be a list of texts');
  if (keys.length > commandsMax * 10)
    throw new StepError('INVALID_PARAMS', `params.keys: at most ${commandsMax * 10} keys`);
  return keys as string[];
}

/** All commands at once, and their replies in order. */
async function pipeline(link: Link, commands: readonly Command[], where: (index: number) => string): Promise<Raw[]> {
  return Promise.all(
    commands.map(async ({ name, args }, index) => {
      try {
        return await link.send([name, ...args]);
      } catch (thrown) {
        if (thrown instanceof Refusal) throw replyError(thrown.message, `${where(index)} (${name}): `);
        throw thrown;
      }
    }),
  );
}

async function scan(params: JSONObject, link: Link, sink: RowSink, batchSize: number): Promise<void> {
  const limit = typeof params.limit === 'number' && params.limit > 0 ? params.limit : Number.POSITIVE_INFINITY;
  const filter = typeof params.key_type === 'string' ? ['TYPE', params.key_type] : [];
  let cursor = '0';
  do {
    const command = {
      name: 'SCAN',
      args: [cursor, 'MATCH', String(params.pattern), 'COUNT', String(batchSize), ...filter],
    };
    const [reply] = await pipeline(link, [command], () => 'params.pattern');
    const [next, found] = Array.isArray(reply) ? reply : [];
    cursor = String(next ?? '0');
    const keys = (Array.isArray(found) ? found : []).slice(0, limit - sink.count);
    if (keys.length > 0)
      await sink.add(
        params.values === true ? await valuesOf(link, keys as Buffer[]) : keys.map((key) => ({ key: plain(key) })),
      );
  } while (cursor !== '0' && sink.count < limit);
}

/** How the value of a key of each type is read. */
const readers: Record<string, (key: string | Buffer) => Command> = {
  string: (key) => ({ name: 'GET', args: [key] }),
  hash: (key) => ({ name: 'HGETALL', args: [key] }),
  list: (key) => ({ name: 'LRANGE', args: [key, '0', '-1'] }),
  set: (key) => ({ name: 'SMEMBERS', args: [key] }),
  zset: (key) => ({ name: 'ZRANGE', args: [key, '0', '-1', 'WITHSCORES'] }),
  stream: (key) => ({ name: 'XRANGE', args: [key, '-', '+'] }),
};

async function valuesOf(link: Link, keys: readonly (string | Buffer)[]): Promise<JSONObject[]> {
  const where = (index: number): string => `key ${index}`;
  const types = await pipeline(
    link,
    keys.map((key) => ({ name: 'TYPE', args: [key] })),
    where,
  );
  const commands = keys.map((key, index) => readers[String(types[index])]?.(key) ?? { name: 'EXISTS', args: [key] });
  const replies = await pipeline(link, commands, where);
  return keys.map((key, index) => {
    const command = commands[index];
    const known = command !== undefined && command.name !== 'EXISTS';
    return {
      key: typeof key === 'string' ? key : plain(key),
      type: String(types[index] ?? 'none'),
      value: known ? replyOf(command, replies[index] ?? null) : null,
    };
  });
}
