import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Field } from '../sql/session.ts';
import { bytesValue, parseJson, realNumber, rowKeys, wholeNumber } from '../sql/values.ts';

/** What mysql2 tells about a column. */
export interface Column {
  name: string;
  columnType?: number | undefined;
  columnLength?: number | undefined;
  flags?: number | string[] | undefined;
  characterSet?: number | undefined;
  extendedFormat?: string | undefined;
}

/** Numbers of the protocol, MYSQL_TYPE_…. */
const names: Readonly<Record<number, string>> = {
  0: 'decimal',
  1: 'tinyint',
  2: 'smallint',
  3: 'int',
  4: 'float',
  5: 'double',
  6: 'null',
  7: 'timestamp',
  8: 'bigint',
  9: 'mediumint',
  10: 'date',
  11: 'time',
  12: 'datetime',
  13: 'year',
  14: 'date',
  15: 'varchar',
  16: 'bit',
  242: 'vector',
  245: 'json',
  246: 'decimal',
  247: 'enum',
  248: 'set',
  249: 'tinyblob',
  250: 'mediumblob',
  251: 'longblob',
  252: 'blob',
  253: 'varchar',
  254: 'char',
  255: 'geometry',
};
const binaryCharset = 63;
const enumFlag = 256;
const setFlag = 2048;

type Decode = (value: unknown) => JSONValue;

const asIs: Decode = (value) => (typeof value === 'number' ? realNumber(value) : (value as JSONValue));

/** Zero dates are no dates of ISO 8601, and stay as they are. */
const datetime =
  (zone: string): Decode =>
  (value) => {
    const text = String(value);
    return text.startsWith('0000-00-00') ? text : `${text.slice(0, 10)}T${text.slice(11)}${zone}`;
  };

/** The shortest decimal number that is the same FLOAT. */
const float: Decode = (value) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) return String(value);
  for (const digits of [6, 7, 8]) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return realNumber(short);
  }
  return realNumber(value);
};

const bits =
  (length: number): Decode =>
  (value) => {
    if (!Buffer.isBuffer(value)) return asIs(value);
    if (length === 1) return value.at(-1) === 1;
    return wholeNumber(BigInt(`0x${value.toString('hex') || '0'}`).toString());
  };

const bytesOrText: Decode = (value) => (Buffer.isBuffer(value) ? bytesValue(value) : asIs(value));
const flag: Decode = (value) => (value === 1 ? true : value === 0 ? false : asIs(value));

function decoderOf({ columnType, columnLength, extendedFormat }: Column): Decode {
  if (extendedFormat === 'json' || columnType === 245) return (value) => parseJson(String(value));
  switch (columnType) {
    case 1:
      return columnLength === 1 ? flag : asIs;
    case 4:
      return float;
    case 7:
      return datetime('Z');
    case 12:
      return datetime('');
    case 16:
      return bits(columnLength ?? 0);
    default:
      return bytesOrText;
  }
}

export function fieldOf(column: Column): Field {
  const { name, columnType = 6, columnLength, characterSet, extendedFormat } = column;
  const flags = typeof column.flags === 'number' ? column.flags : 0;
  if (extendedFormat === 'json') return { name, type: 'json' };
  if ((flags & enumFlag) !== 0) return { name, type: 'enum' };
  if ((flags & setFlag) !== 0) return { name, type: 'set' };
  const type = names[columnType] ?? `type ${columnType}`;
  if (columnType === 1 && columnLength === 1) return { name, type: 'tinyint(1)' };
  if (characterSet === binaryCharset)
    return { name, type: type === 'varchar' ? 'varbinary' : type === 'char' ? 'binary' : type };
  return { name, type: type.replace('blob', 'text') };
}

/** Makes rows of lists of cells. */
export function rowMaker(columns: readonly Column[]): (cells: readonly unknown[]) => JSONObject {
  const keys = rowKeys(columns.map(({ name }) => name));
  const decoders = columns.map(decoderOf);
  return (cells) => {
    const row: JSONObject = {};
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index] ?? '';
      const cell = cells[index] ?? null;
      const value = cell === null ? null : (decoders[index] ?? asIs)(cell);
      if (key === '__proto__')
        Object.defineProperty(row, key, { value, enumerable: true, writable: true, configurable: true });
      else row[key] = value;
    }
    return row;
  };
}
