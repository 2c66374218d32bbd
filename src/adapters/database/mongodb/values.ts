import type * as Mongo from 'mongodb';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue, setOwn } from '../../../lib/json.ts';

/** What each kind of value that JSON lacks is made with. */
export type Types = Pick<
  typeof Mongo,
  | 'ObjectId'
  | 'Decimal128'
  | 'Long'
  | 'Int32'
  | 'Double'
  | 'Binary'
  | 'UUID'
  | 'BSONRegExp'
  | 'Timestamp'
  | 'MinKey'
  | 'MaxKey'
>;

/** JSON to BSON and back, in the relaxed form of MongoDB's Extended JSON v2: `{ "$oid": … }`, `{ "$date": … }` and so on. */
export class Codec {
  readonly #types: Types;

  constructor(types: Types) {
    this.#types = types;
  }

  /**
   * The value as the driver takes it; what needs no change is given back itself.
   * @param where for errors, such as `params.filter`
   * @throws StepError INVALID_PARAMS
   */
  toBson(value: JSONValue, where: string): unknown {
    if (typeof value !== 'object' || value === null) return value;
    return Array.isArray(value) ? this.#list(value, where) : this.#object(value, where);
  }

  #list(list: JSONValue[], where: string): unknown[] {
    let copy: unknown[] | undefined;
    for (let index = 0; index < list.length; index += 1) {
      const old = list[index] as JSONValue;
      if (typeof old !== 'object' || old === null) continue;
      const made = this.toBson(old, where);
      if (made === old) continue;
      copy ??= [...list];
      copy[index] = made;
    }
    return copy ?? list;
  }

  #object(object: JSONObject, where: string): unknown {
    const names = Object.keys(object);
    if (names.length <= 2 && names[0]?.startsWith('$')) {
      const special = this.#special(object, names, where);
      if (special !== undefined) return special;
    }
    let copy: Record<string, unknown> | undefined;
    for (const name of names) {
      const old = object[name] as JSONValue;
      if (typeof old !== 'object' || old === null) continue;
      const made = this.toBson(old, where);
      if (made === old) continue;
      copy ??= { ...object };
      setOwn(copy, name, made);
    }
    return copy ?? object;
  }

  #special(object: JSONObject, names: readonly string[], where: string): unknown {
    const [name = ''] = names;
    if (names.length !== 1) return undefined;
    const make = makers[name];
    if (make === undefined) return undefined;
    try {
      const made = make(object[name] as JSONValue, this.#types);
      if (made !== undefined) return made;
    } catch {
      // Said below, without the value.
    }
    throw new StepError('INVALID_PARAMS', `${where}: the value of ${name} is not what Extended JSON allows`);
  }

  /** A document that the driver gave, made JSON where it stands. */
  toRow(document: Record<string, unknown>): JSONObject {
    for (const name of Object.keys(document)) {
      const old = document[name];
      if (typeof old === 'string' || typeof old === 'boolean' || old === null) continue;
      const made = fromBson(old);
      if (made !== old) setOwn(document, name, made);
    }
    return document as JSONObject;
  }

  /** @param hex 24 digits */
  objectId(hex: string): Mongo.ObjectId {
    return new this.#types.ObjectId(hex);
  }
}

const text = (value: JSONValue): string => {
  if (typeof value !== 'string') throw new TypeError();
  return value;
};
const integer = (value: JSONValue): string => {
  if (!/^-?\d{1,20}$/.test(text(value))) throw new TypeError();
  return text(value);
};

const makers: Readonly<Record<string, (value: JSONValue, types: Types) => unknown>> = {
  $oid: (value, { ObjectId }) => (/^[0-9a-fA-F]{24}$/.test(text(value)) ? new ObjectId(text(value)) : undefined),
  $date: (value) => dateOf(value),
  $numberDecimal: (value, { Decimal128 }) => Decimal128.fromString(text(value)),
  $numberLong: (value, { Long }) => {
    const long = Long.fromString(integer(value));
    return long.toString() === BigInt(integer(value)).toString() ? long : undefined;
  },
  $numberInt: (value, { Int32 }) => {
    const int = Number(integer(value));
    return int === (int | 0) ? new Int32(int) : undefined;
  },
  $numberDouble: (value, { Double }) => {
    const double = Number(text(value));
    return Number.isNaN(double) && value !== 'NaN' ? undefined : new Double(double);
  },
  $binary: (value, { Binary }) => {
    if (!isObject(value)) return undefined;
    const base64 = text(value.base64 as JSONValue);
    const subType = value.subType === undefined ? '00' : text(value.subType as JSONValue);
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || !/^[0-9a-fA-F]{1,2}$/.test(subType)) return undefined;
    return new Binary(Buffer.from(base64, 'base64'), Number.parseInt(subType, 16));
  },
  $uuid: (value, { UUID }) => new UUID(text(value)),
  $regularExpression: (value, { BSONRegExp }) =>
    isObject(value)
      ? new BSONRegExp(text(value.pattern as JSONValue), [...text((value.options ?? '') as JSONValue)].sort().join(''))
      : undefined,
  $timestamp: (value, { Timestamp }) =>
    isObject(value) && isUint32(value.t) && isUint32(value.i) ? new Timestamp({ t: value.t, i: value.i }) : undefined,
  $minKey: (value, { MinKey }) => (value === 1 ? new MinKey() : undefined),
  $maxKey: (value, { MaxKey }) => (value === 1 ? new MaxKey() : undefined),
};

const isUint32 = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;

function dateOf(value: JSONValue): Date | undefined {
  const ms = isObject(value) && typeof value.$numberLong === 'string' ? Number(integer(value.$numberLong)) : value;
  if (typeof ms === 'string' && !/^[+-]?\d{4,6}-\d\d-\d\d/.test(ms)) return undefined;
  if (typeof ms !== 'string' && typeof ms !== 'number') return undefined;
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** Any value of BSON as JSON; objects and lists are changed where they stand. */
export function fromBson(value: unknown): JSONValue {
  if (typeof value === 'number') return numberOf(value);
  if (typeof value === 'bigint') return { $numberLong: value.toString() };
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value as JSONValue;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) value[index] = fromBson(value[index]);
    return value;
  }
  if (value instanceof Date) return dateJSON(value);
  const kind = (value as { _bsontype?: unknown })._bsontype;
  // Data may have a field of that name; the classes have it on their prototype.
  if (typeof kind === 'string' && !Object.hasOwn(value, '_bsontype')) return specialJSON(kind, value as never);
  const object = value as Record<string, unknown>;
  for (const name of Object.keys(object)) {
    const old = object[name];
    if (typeof old === 'string') continue;
    const made = fromBson(old);
    if (made !== old) setOwn(object, name, made);
  }
  return object as JSONObject;
}

function numberOf(value: number): JSONValue {
  if (Number.isFinite(value)) return Object.is(value, -0) ? { $numberDouble: '-0.0' } : value;
  return { $numberDouble: String(value) };
}

/** Years that ISO 8601 writes with four digits; others in ms. */
function dateJSON(date: Date): JSONValue {
  const ms = date.getTime();
  if (ms >= -62_167_219_200_000 && ms < 253_402_300_800_000) return { $date: date.toISOString() };
  return { $date: { $numberLong: String(ms) } };
}

interface AnyBson {
  toHexString(): string;
  toString(): string;
  toString(encoding: 'base64'): string;
  sub_type: number;
  position: number;
  buffer: Uint8Array;
  pattern: string;
  options: string;
  t: number;
  i: number;
  value: number;
  valueOf(): unknown;
  code: unknown;
  collection: string;
  oid: unknown;
  db?: string;
}

function specialJSON(kind: string, value: AnyBson): JSONValue {
  switch (kind) {
    case 'ObjectId':
      return { $oid: value.toHexString() };
    case 'Decimal128':
      return { $numberDecimal: value.toString() };
    case 'Long':
      return { $numberLong: value.toString() };
    case 'Int32':
    case 'Double':
      return numberOf(Number(value.valueOf()));
    case 'Binary':
      return binaryJSON(value);
    case 'BSONRegExp':
      return { $regularExpression: { pattern: value.pattern, options: value.options } };
    case 'Timestamp':
      return { $timestamp: { t: value.t, i: value.i } };
    case 'MinKey':
      return { $minKey: 1 };
    case 'MaxKey':
      return { $maxKey: 1 };
    case 'Code':
      return { $code: String(value.code) };
    case 'BSONSymbol':
      return { $symbol: String(value.valueOf()) };
    case 'DBRef':
      return { $ref: value.collection, $id: fromBson(value.oid), ...(value.db && { $db: value.db }) };
    default:
      return String(value);
  }
}

function binaryJSON({ buffer, position, sub_type }: AnyBson): JSONValue {
  const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, position);
  if (sub_type === 4 && bytes.length === 16) {
    const hex = bytes.toString('hex');
    return { $uuid: [0, 8, 12, 16, 20].map((from, index, all) => hex.slice(from, all[index + 1])).join('-') };
  }
  return { $binary: { base64: bytes.toString('base64'), subType: sub_type.toString(16).padStart(2, '0') } };
}
