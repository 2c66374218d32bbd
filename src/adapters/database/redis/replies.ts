import { isUtf8 } from 'node:buffer';
import { type JSONObject, type JSONValue, setOwn } from '../../../lib/json.ts';
import type { Command } from './commands.ts';

/** A reply as RESP 2 has it: bytes as they are, and integers as text, since they may exceed what a number holds exactly. */
export type Raw = Buffer | string | null | Raw[];

const floats = new Set(['ZSCORE', 'ZINCRBY', 'INCRBYFLOAT', 'HINCRBYFLOAT', 'GEODIST']);
const withFlag: Record<string, string> = {
  ZRANGE: 'WITHSCORES',
  ZREVRANGE: 'WITHSCORES',
  ZRANGEBYSCORE: 'WITHSCORES',
  ZREVRANGEBYSCORE: 'WITHSCORES',
  ZINTER: 'WITHSCORES',
  ZUNION: 'WITHSCORES',
  ZDIFF: 'WITHSCORES',
  ZRANDMEMBER: 'WITHSCORES',
  HRANDFIELD: 'WITHVALUES',
};

/** The reply as JSON, in the shape that suits the command: objects for hashes, pairs for scores. */
export function replyOf({ name, args }: Command, reply: Raw): JSONValue {
  if (reply === null) return null;
  if (floats.has(name)) return number(reply);
  if (!Array.isArray(reply)) return plain(reply);
  switch (name) {
    case 'HGETALL':
      return map(reply);
    case 'ZMSCORE':
      return reply.map((one) => (one === null ? null : number(one)));
    case 'ZPOPMIN':
    case 'ZPOPMAX':
      return scored(reply);
    case 'XRANGE':
    case 'XREVRANGE':
      return reply.map(entry);
    case 'HSCAN':
      return scan(reply, map);
    case 'ZSCAN':
      return scan(reply, scored);
    default: {
      const flag = withFlag[name];
      if (flag === undefined || !args.some((arg) => typeof arg === 'string' && arg.toUpperCase() === flag))
        return reply.map(plain);
      return flag === 'WITHSCORES' ? scored(reply) : pairs(reply);
    }
  }
}

/** Text where the bytes are UTF-8, else `{ "$bytes": base64 }`; integers as numbers, or as text beyond ±2^53. */
export function plain(reply: Raw): JSONValue {
  if (Buffer.isBuffer(reply)) return isUtf8(reply) ? reply.toString() : { $bytes: reply.toString('base64') };
  if (typeof reply === 'string') return Number.isSafeInteger(Number(reply)) ? Number(reply) : reply;
  return Array.isArray(reply) ? reply.map(plain) : reply;
}

/** Which parts of a reply can be named in `$result`: those of hashes by field, of plain lists by index, of others none. */
export function partsOf({ name, args }: Command): 'fields' | 'items' | 'none' {
  if (name === 'HGETALL') return 'fields';
  const flagged = args.some((arg) => typeof arg === 'string' && /^(WITHSCORES|WITHVALUES)$/i.test(arg));
  return flagged || /^(ZPOP|XRANGE|XREVRANGE|.*SCAN$)/.test(name) ? 'none' : 'items';
}

/** An object, or a list of pairs where a name is not text. */
function map(flat: Raw[]): JSONValue {
  const object: JSONObject = {};
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = plain(flat[index] ?? null);
    if (typeof name !== 'string') return pairs(flat);
    setOwn(object, name, plain(flat[index + 1] ?? null));
  }
  return object;
}

function pairs(flat: Raw[]): JSONValue[] {
  const list: JSONValue[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2)
    list.push([plain(flat[index] ?? null), plain(flat[index + 1] ?? null)]);
  return list;
}

function scored(flat: Raw[]): JSONValue[] {
  const list: JSONValue[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2)
    list.push([plain(flat[index] ?? null), number(flat[index + 1] ?? null)]);
  return list;
}

function entry(reply: Raw): JSONValue {
  if (!Array.isArray(reply)) return plain(reply);
  const [id = null, fields] = reply;
  return { id: plain(id), fields: Array.isArray(fields) ? map(fields) : null };
}

function scan(reply: Raw[], shape: (flat: Raw[]) => JSONValue): JSONValue {
  const [cursor = null, found] = reply;
  return [plain(cursor), Array.isArray(found) ? shape(found) : []];
}

/** A number where JSON can have it: infinities stay text. */
function number(reply: Raw): JSONValue {
  const text = plain(reply);
  if (typeof text !== 'string') return text;
  const value = Number(text);
  return Number.isFinite(value) && text !== '' ? value : text;
}
