import { hash } from 'node:crypto';
import { sha256 } from '../../../lib/hash.ts';
import { type Command, ruleOf } from './commands.ts';

/** How long a finished effect is remembered, and so a retry recognized. Ms. */
const effectTtlMs = 7 * 24 * 3600 * 1000;
/** What a call of several commands may have to keep to be able to undo them. */
const undoBytesMax = 16 * 1024 * 1024;

/**
 * Runs all commands, or none: what a command is about to change is kept, and put back where a later one fails. The effect's key is read
 * first and written in the same atomic call; before anything else, too, so that a server that has no room for it, or does not
 * allow it, refuses while nothing is done. Answers [status, replies or details].
 */
const source = `
local effect, digest, ttl = KEYS[1], ARGV[1], ARGV[2]
if effect then
  local stored = redis.call('GET', effect)
  if stored then
    local record = cmsgpack.unpack(stored)
    if record[1] ~= digest then return {'conflict'} end
    return {'again', record[2]}
  end
end
local program = cjson.decode(ARGV[3])
local counts, references, keys = program.counts, program.references, program.keys
local first = 4

if program.absent or program.type then
  local at = first
  for i = 1, #counts do
    local key = ARGV[at + 1]
    local kind = redis.call('TYPE', key).ok
    if program.absent == 'error' and kind ~= 'none' then return {'exists', i} end
    if program.type and kind ~= 'none' and kind ~= program.type and program.absent ~= 'ignore' then return {'type', i} end
    at = at + counts[i]
  end
end

local saved, order, undoBytes = {}, {}, 0
local function undo()
  for i = #order, 1, -1 do
    local key = order[i]
    local was = saved[key]
    if was then redis.call('RESTORE', key, was[2], was[1], 'REPLACE') else redis.call('DEL', key) end
  end
  if effect then redis.call('DEL', effect) end
end
local function save(key)
  if saved[key] ~= nil then return nil end
  local size = redis.pcall('MEMORY', 'USAGE', key)
  if type(size) == 'table' then return size.err end
  if not size then
    saved[key] = false
  else
    undoBytes = undoBytes + size
    if undoBytes > ${undoBytesMax} then return 'large' end
    local left, dump = redis.call('PTTL', key), redis.pcall('DUMP', key)
    if type(dump) == 'table' then return dump.err end
    saved[key] = { dump, left > 0 and left or 0 }
  end
  order[#order + 1] = key
  return nil
end

local function member(value, name)
  if type(value) ~= 'table' then return nil end
  if type(name) == 'number' then return value[name + 1] end
  for i = 1, #value - 1, 2 do
    if value[i] == name then return value[i + 1] end
  end
  return nil
end
local replies = {}
local function resolve(reference)
  local value = replies[reference[1] + 1]
  for i = 2, #reference do value = member(value, reference[i]) end
  if type(value) == 'table' and value.ok then value = value.ok end
  if type(value) == 'number' then return string.format('%.0f', value) end
  if type(value) == 'string' then return value end
  return nil
end

if effect then redis.call('SET', effect, '', 'PX', ttl) end
local at = first
for i = 1, #counts do
  local args = {}
  for j = 1, counts[i] do
    local value = ARGV[at]
    local reference = references and references[tostring(at - first)]
    if reference then
      value = resolve(reference)
      if not value then undo() return {'reference', i, j - 1} end
    end
    args[j] = value
    at = at + 1
  end
  local skip = program.absent == 'ignore' and redis.call('EXISTS', args[2]) == 1
  if skip then
    replies[i] = false
  else
    if keys and i < #counts then
      local span = keys[i]
      local last = span[1] < 0 and #args - 1 or span[1]
      for k = 1, last, span[2] do
        local problem = save(args[k + 1])
        if problem then
          undo()
          if problem == 'large' then return {'large', i} end
          return {'failed', i, problem}
        end
      end
    end
    local reply = redis.pcall(unpack(args))
    if type(reply) == 'table' and reply.err then
      undo()
      return {'failed', i, reply.err}
    end
    replies[i] = reply
    if program.expire then redis.call('PEXPIRE', args[2], program.expire) end
  end
end
if effect then redis.call('SET', effect, cmsgpack.pack({ digest, replies }), 'PX', ttl) end
return {'done', replies}
`;

/** Servers know a script by its SHA-1 once they have seen it. */
export const script = { source, sha: hash('sha1', source, 'hex') } as const;

export interface Program {
  commands: readonly Command[];
  /** What to do with a command whose key is there already: fail before anything is done, or leave it out. */
  absent?: 'error' | 'ignore';
  /** The type that every key must have, where it is there. */
  type?: 'hash';
  /** Ms after which each command's key shall end. */
  expireMs?: number;
}

/** Arguments of EVALSHA behind the script's name. */
export function programArguments(
  { commands, absent, type, expireMs }: Program,
  effectKey: string | undefined,
): (string | Buffer)[] {
  const counts: number[] = [];
  const references: Record<string, (string | number)[]> = {};
  const values: (string | Buffer)[] = [];
  let hasReferences = false;
  for (const { name, args, references: own } of commands) {
    counts.push(args.length + 1);
    for (const [index, { operation, path }] of own ?? []) {
      references[values.length + 1 + index] = [operation, ...path];
      hasReferences = true;
    }
    values.push(name, ...args);
  }
  // One command alone is atomic anyway, and checked commands can't fail on their kind.
  const keys =
    commands.length > 1 && type === undefined && absent === undefined
      ? commands.map((command) => spanOf(command))
      : undefined;
  const program = JSON.stringify({
    counts,
    ...(hasReferences && { references }),
    ...(keys && { keys }),
    ...(absent && { absent }),
    ...(type && { type }),
    ...(expireMs && { expire: expireMs }),
  });
  const keyNames = effectKey === undefined ? [] : [effectKeyOf(effectKey)];
  const digest = effectKey === undefined ? '' : digestOf(program, values);
  return [String(keyNames.length), ...keyNames, digest, String(effectTtlMs), program, ...values];
}

/** Of everything that is done. Bytes and text are told apart, and JSON says where each argument ends. */
function digestOf(program: string, values: readonly (string | Buffer)[]): string {
  const text = JSON.stringify(values.map((value) => (typeof value === 'string' ? value : [value.toString('base64')])));
  return sha256(`${program}${text}`);
}

function spanOf(command: Command): [number, number] {
  const { write, keys } = ruleOf(command);
  return write ? [keys.last, keys.step] : [0, 1];
}

export const effectKeyOf = (effectKey: string): string => `jsonflow:effect:{${sha256(effectKey)}}`;
