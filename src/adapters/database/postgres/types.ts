import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { bytesOf, isTagged, parseJson, plainValue, realNumber, wholeNumber } from '../sql/values.ts';

export type Decode = (text: string) => JSONValue;

/** A type of the server's catalogue. */
export interface PgType {
  name: string;
  /** Absent where the text stays as it is. */
  decode?: Decode;
  /** Of an array's elements. */
  element?: PgType;
  json?: boolean;
}

const fromHex = (text: string): JSONObject => ({ $bytes: Buffer.from(text.slice(2), 'hex').toString('base64') });
const whole: Decode = (text) => Number(text);
const real: Decode = (text) => realNumber(Number(text));

/** `2026-01-02 03:04:05.6+00` in ISO 8601; the session's time zone is UTC. Others (infinity, BC) stay as they are. */
function timestamp(text: string): JSONValue {
  if (text.charCodeAt(10) !== 32 || text.endsWith('BC')) return text;
  const iso = `${text.slice(0, 10)}T${text.slice(11)}`;
  return iso.endsWith('+00') ? `${iso.slice(0, -3)}Z` : iso;
}

const scalars: [oid: number, arrayOid: number, name: string, decode?: Decode, json?: boolean][] = [
  [16, 1000, 'bool', (text) => text === 't'],
  [17, 1001, 'bytea', fromHex],
  [18, 1002, 'char'],
  [19, 1003, 'name'],
  [20, 1016, 'int8', wholeNumber],
  [21, 1005, 'int2', whole],
  [23, 1007, 'int4', whole],
  [25, 1009, 'text'],
  [26, 1028, 'oid', whole],
  [114, 199, 'json', parseJson, true],
  [142, 143, 'xml'],
  [600, 1017, 'point'],
  [650, 651, 'cidr'],
  [700, 1021, 'float4', real],
  [701, 1022, 'float8', real],
  [790, 791, 'money'],
  [829, 1040, 'macaddr'],
  [869, 1041, 'inet'],
  [1042, 1014, 'bpchar'],
  [1043, 1015, 'varchar'],
  [1082, 1182, 'date'],
  [1083, 1183, 'time'],
  [1114, 1115, 'timestamp', timestamp],
  [1184, 1185, 'timestamptz', timestamp],
  [1186, 1187, 'interval'],
  [1266, 1270, 'timetz'],
  [1560, 1561, 'bit'],
  [1562, 1563, 'varbit'],
  [1700, 1231, 'numeric'],
  [2950, 2951, 'uuid'],
  [3802, 3807, 'jsonb', parseJson, true],
];

/** The types that a connection meets: those that come with the server, and others once it has told about them. */
export class TypeCatalogue {
  readonly #types = new Map<number, PgType>();

  constructor() {
    for (const [oid, arrayOid, name, decode, json] of scalars) {
      const type: PgType = {
        name,
        ...(decode === undefined ? {} : { decode }),
        ...(json === undefined ? {} : { json }),
      };
      this.#types.set(oid, type);
      this.#types.set(arrayOid, arrayOf(type));
    }
  }

  get(oid: number): PgType {
    return this.#types.get(oid) ?? { name: `oid ${oid}` };
  }

  unknown(oids: Iterable<number>): number[] {
    return [...new Set(oids)].filter((oid) => oid !== 0 && !this.#types.has(oid));
  }

  /** @param elements of arrays are described before them */
  learn(oid: number, name: string, element: number | undefined): void {
    this.#types.set(oid, element === undefined ? { name } : { ...arrayOf(this.get(element)), name });
  }
}

function arrayOf(element: PgType): PgType {
  return { name: `${element.name}[]`, element, decode: (text) => parseArray(text, element.decode) };
}

/** The text form of an array: `{1,NULL,"a b",{…}}`, with bounds before it where they are not the usual ones. */
export function parseArray(text: string, decode: Decode | undefined): JSONValue {
  const start = text.indexOf('{');
  let at = start + 1;
  const outer: JSONValue[] = [];
  const open: JSONValue[][] = [outer];
  while (at < text.length) {
    const list = open.at(-1) ?? outer;
    const char = text[at];
    if (char === '{') {
      const inner: JSONValue[] = [];
      list.push(inner);
      open.push(inner);
      at += 1;
    } else if (char === '}') {
      open.pop();
      at += 1;
    } else if (char === ',') at += 1;
    else at = element(list, at);
  }
  return outer;

  function element(list: JSONValue[], from: number): number {
    if (text[from] !== '"') {
      let end = from;
      while (end < text.length && text[end] !== ',' && text[end] !== '}') end += 1;
      const bare = text.slice(from, end);
      list.push(bare === 'NULL' ? null : decode === undefined ? bare : decode(bare));
      return end;
    }
    let value = '';
    let end = from + 1;
    for (; text[end] !== '"' && end < text.length; end += 1) {
      if (text[end] === '\\') end += 1;
      value += text[end];
    }
    list.push(decode === undefined ? value : decode(value));
    return end + 1;
  }
}

/** A value as the server gets it: text, bytes or null. @param type of the parameter, where it is known and matters */
export function encode(value: JSONValue, type: PgType | undefined): string | Buffer | null {
  if (typeof value === 'string') return value;
  if (value === null) return null;
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value) && type?.element !== undefined) return arrayText(value, type.element);
  const plain = plainValue(value);
  return typeof plain === 'number' || typeof plain === 'boolean' ? String(plain) : plain;
}

/** Whether the parameter's type decides how the value is written. */
export const needsType = (value: JSONValue): boolean => Array.isArray(value);

function arrayText(list: readonly JSONValue[], element: PgType): string {
  const members = list.map((value): string => {
    if (value === null) return 'NULL';
    if (Array.isArray(value) && element.json !== true) return arrayText(value, element);
    if (isObject(value) && isTagged(value) && '$bytes' in value) return `"\\\\x${bytesOf(value).toString('hex')}"`;
    const plain = plainValue(value);
    return `"${String(plain).replace(/[\\"]/g, '\\$&')}"`;
  });
  return `{${members.join(',')}}`;
}
