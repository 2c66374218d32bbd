import { canonicalize } from '../../../lib/canonical.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';

/** A command as it is sent: its name in capitals, then its arguments. */
export interface Command {
  name: string;
  args: (string | Buffer)[];
  /** Arguments to be taken out of earlier replies, by index in `args`. */
  references?: Map<number, Reference>;
}

/** `{ "$result": "op.path" }`. */
export interface Reference {
  operation: number;
  /** Indexes of lists, names of a hash's fields. */
  path: (string | number)[];
}

export interface CommandRule {
  write: boolean;
  /** Which arguments are keys that the command changes: from the first, every `step`, to the last or to the end. */
  keys: { last: number; step: number };
}

/** More would need more of Lua's stack than there is. */
const argumentsMax = 4_000;
export const commandsMax = 10_000;
const bytesMax = 64 * 1024 * 1024;

const reads = `GET GETRANGE SUBSTR STRLEN MGET GETBIT BITCOUNT BITPOS BITFIELD_RO EXISTS TTL PTTL EXPIRETIME PEXPIRETIME TYPE DBSIZE
  RANDOMKEY SCAN HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSTRLEN HSCAN HRANDFIELD LLEN LRANGE LINDEX LPOS SCARD SISMEMBER
  SMISMEMBER SMEMBERS SRANDMEMBER SSCAN SINTER SUNION SDIFF SINTERCARD ZCARD ZCOUNT ZLEXCOUNT ZSCORE ZMSCORE ZRANK ZREVRANK ZRANGE
  ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX ZINTER ZUNION ZDIFF ZSCAN ZRANDMEMBER XLEN XRANGE XREVRANGE
  GEOPOS GEODIST GEOHASH GEOSEARCH PFCOUNT PING TIME`;
const writes = `SET SETEX PSETEX SETNX GETSET GETDEL GETEX APPEND INCR INCRBY INCRBYFLOAT DECR DECRBY SETRANGE SETBIT BITFIELD EXPIRE
  PEXPIRE EXPIREAT PEXPIREAT PERSIST HSET HMSET HSETNX HDEL HINCRBY HINCRBYFLOAT LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LSET LREM LTRIM
  LINSERT SADD SREM SPOP ZADD ZREM ZINCRBY ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREMRANGEBYLEX ZPOPMIN ZPOPMAX XADD XDEL XTRIM XACK PFADD
  GEOADD SINTERSTORE SUNIONSTORE SDIFFSTORE ZUNIONSTORE ZINTERSTORE ZDIFFSTORE ZRANGESTORE GEOSEARCHSTORE PFMERGE`;
const writesOfTwoKeys = 'RENAME RENAMENX COPY SMOVE LMOVE RPOPLPUSH';
const writesOfManyKeys = 'DEL UNLINK';
const writesOfPairs = 'MSET MSETNX';

/** What steps may do. Nothing here blocks, runs code, subscribes, changes the server, or leaves the database of the connection. */
const rules: ReadonlyMap<string, CommandRule> = new Map([
  ...named(reads, { write: false, keys: { last: 0, step: 1 } }),
  ...named(writes, { write: true, keys: { last: 1, step: 1 } }),
  ...named(writesOfTwoKeys, { write: true, keys: { last: 2, step: 1 } }),
  ...named(writesOfManyKeys, { write: true, keys: { last: -1, step: 1 } }),
  ...named(writesOfPairs, { write: true, keys: { last: -1, step: 2 } }),
]);

function named(names: string, rule: CommandRule): [string, CommandRule][] {
  return names.split(/\s+/).map((name) => [name, rule]);
}

/** What is known of a command. @throws StepError UNSUPPORTED where steps may not use it */
export function ruleOf({ name }: Command): CommandRule {
  const rule = rules.get(name);
  if (rule === undefined) throw new StepError('UNSUPPORTED', `the Redis command ${name} is not available to steps`);
  return rule;
}

export interface ParseOptions {
  /** Whether commands that change something are allowed. */
  write: boolean;
  /** Resolves the text of a `$result`; without it there are none. */
  reference?: (text: string, where: string) => Reference;
}

/** @param name of the param @throws StepError INVALID_PARAMS, UNSUPPORTED */
export function parseCommands(value: JSONValue | undefined, name: string, options: ParseOptions): Command[] {
  if (!Array.isArray(value)) throw invalid(`params.${name} must be a list of commands, such as [["GET", "key"]]`);
  if (value.length > commandsMax)
    throw invalid(`params.${name} has ${value.length} commands; the limit is ${commandsMax}: split the step`);
  const commands = value.map((one, index) => parseCommand(one, `params.${name}[${index}]`, options));
  checkSize(commands, `params.${name}`);
  return commands;
}

/** @param where for errors, such as `params.commands[2]` */
export function parseCommand(value: JSONValue | undefined, where: string, options: ParseOptions): Command {
  if (!Array.isArray(value) || typeof value[0] !== 'string')
    throw invalid(`${where} must be a list that begins with the command's name, such as ["GET", "key"]`);
  if (value.length > argumentsMax) throw invalid(`${where} has more than ${argumentsMax} arguments; split it`);
  const name = value[0].toUpperCase();
  const rule = rules.get(name);
  if (rule === undefined)
    throw new StepError(
      'UNSUPPORTED',
      `${where}: ${/^[A-Z.]{1,24}$/.test(name) ? name : 'this command'} is not available to steps; docs/adapters/database-redis.md lists what is`,
    );
  if (rule.write && !options.write)
    throw new StepError('READ_ONLY', `${where}: ${name} writes; use db_update, db_insert or db_transaction`);
  const command: Command = { name, args: [] };
  for (let index = 1; index < value.length; index += 1)
    command.args.push(argument(value[index], command, `${where}[${index}]`, options));
  if (name === 'COPY' && command.args.slice(2).some((arg) => String(arg).toUpperCase() === 'DB'))
    throw new StepError('UNSUPPORTED', `${where}: COPY must stay within the connection's database`);
  return command;
}

function argument(
  value: JSONValue | undefined,
  command: Command,
  where: string,
  options: ParseOptions,
): string | Buffer {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (isObject(value) && Object.keys(value).length === 1) {
    if (typeof value.$bytes === 'string') return bytesOf(value.$bytes, where);
    if (value.$json !== undefined) return canonicalize(value.$json);
    if (typeof value.$result === 'string') {
      if (options.reference === undefined)
        throw invalid(`${where}: {"$result": …} is for db_transaction; elsewhere no reply is known yet`);
      command.references ??= new Map();
      command.references.set(command.args.length, options.reference(value.$result, where));
      return '';
    }
  }
  throw invalid(
    `${where} must be text, a number, {"$bytes": base64} or {"$json": any value}; Redis has no other kinds of values`,
  );
}

/** A value as Redis keeps it: text as it is, numbers as text, anything else as JSON. */
export function storedValue(value: JSONValue, where: string): string | Buffer {
  if (typeof value === 'string') return value;
  if (isObject(value) && Object.keys(value).length === 1 && typeof value.$bytes === 'string')
    return bytesOf(value.$bytes, where);
  // Canonical, so that every attempt writes the same bytes.
  return canonicalize(value);
}

function bytesOf(base64: string, where: string): Buffer {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0)
    throw invalid(`${where}: $bytes is not base64`);
  return Buffer.from(base64, 'base64');
}

function checkSize(commands: readonly Command[], where: string): void {
  let bytes = 0;
  for (const { args } of commands) for (const arg of args) bytes += arg.length;
  if (bytes > bytesMax)
    throw invalid(`${where} has ${bytes} bytes of arguments; the limit is ${bytesMax}: split the step`);
}

const invalid = (message: string): StepError => new StepError('INVALID_PARAMS', message);
