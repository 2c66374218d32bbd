import { type JSONObject, type JSONValue, setOwn } from '../../../lib/json.ts';
import { bytesValue, parseJson, realNumber, rowKeys, wholeNumber } from '../sql/values.ts';
import { binaryCharset, type Column } from './types.ts';

/** What this adapter uses of mysql2's `Packet`: it reads one value after the other. */
export interface Packet {
  readInt8(): number;
  readSInt8(): number;
  readInt16(): number;
  readSInt16(): number;
  readInt32(): number;
  readSInt32(): number;
  /** A text where a number would not be exact. */
  readInt64(): number | string;
  readSInt64(): number | string;
  readFloat(): number;
  readDouble(): number;
  readTimeString(): string;
  readLengthCodedString(encoding: string): string;
  readLengthCodedBuffer(): Buffer;
  parseGeometryValue(): unknown;
  parseVector(): unknown;
}

type Read = (packet: Packet) => JSONValue;

/** Makes rows of the binary protocol's packets, straight in the forms that outputs have. */
export function rowReader(columns: readonly Column[]): (packet: Packet) => JSONObject {
  const keys = rowKeys(columns.map(({ name }) => name));
  const reads = columns.map(readOf);
  const nullBytes = (columns.length + 9) >> 3;
  const nulls = new Uint8Array(nullBytes);
  const put: (row: JSONObject, key: string, value: JSONValue) => void = keys.includes('__proto__')
    ? setOwn
    : (row, key, value) => {
        row[key] = value;
      };
  return (packet) => {
    packet.readInt8();
    for (let index = 0; index < nullBytes; index += 1) nulls[index] = packet.readInt8();
    const row: JSONObject = {};
    for (let index = 0; index < reads.length; index += 1) {
      const bit = index + 2;
      const isNull = ((nulls[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
      put(row, keys[index] ?? '', isNull ? null : (reads[index]?.(packet) ?? null));
    }
    return row;
  };
}

const unsignedFlag = 32;

function readOf({
  columnType,
  columnLength,
  extendedFormat,
  flags,
  decimals,
  characterSet,
  encoding = 'utf8',
}: Column): Read {
  const unsigned = ((flags ?? 0) & unsignedFlag) !== 0;
  if (extendedFormat === 'json') return (packet) => parseJson(packet.readLengthCodedString(encoding));
  switch (columnType) {
    case 1:
      return tiny(unsigned ? (packet) => packet.readInt8() : (packet) => packet.readSInt8(), columnLength === 1);
    case 2:
      return unsigned ? (packet) => packet.readInt16() : (packet) => packet.readSInt16();
    case 3:
    case 9:
      return unsigned ? (packet) => packet.readInt32() : (packet) => packet.readSInt32();
    case 4:
      return (packet) => float(packet.readFloat());
    case 5:
      return (packet) => realNumber(packet.readDouble());
    case 6:
      return () => null;
    case 7:
      return (packet) => dateTime(packet, decimals, 'Z');
    case 8:
      return unsigned ? (packet) => exact(packet.readInt64()) : (packet) => exact(packet.readSInt64());
    case 10:
    case 14:
      return date;
    case 11:
      return (packet) => packet.readTimeString();
    case 12:
      return (packet) => dateTime(packet, decimals, '');
    case 13:
      return (packet) => packet.readInt16();
    case 16:
      return (packet) => bits(packet.readLengthCodedBuffer(), columnLength ?? 0);
    case 0:
    case 246:
      return (packet) => packet.readLengthCodedString('ascii');
    case 242:
      return (packet) => packet.parseVector() as JSONValue;
    case 245:
      return (packet) => parseJson(packet.readLengthCodedString('utf8'));
    case 255:
      return (packet) => packet.parseGeometryValue() as JSONValue;
    default:
      return characterSet === binaryCharset
        ? (packet) => bytesValue(packet.readLengthCodedBuffer())
        : (packet) => packet.readLengthCodedString(encoding);
  }
}

const exact = (value: number | string): JSONValue => (typeof value === 'string' ? wholeNumber(value) : value);

const tiny =
  (read: (packet: Packet) => number, flag: boolean): Read =>
  (packet) => {
    const value = read(packet);
    return flag && (value === 0 || value === 1) ? value === 1 : value;
  };

/** The shortest decimal number that is the same FLOAT. */
function float(value: number): JSONValue {
  for (const digits of [6, 7, 8]) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return realNumber(short);
  }
  return realNumber(value);
}

function bits(bytes: Buffer, length: number): JSONValue {
  if (length === 1) return bytes.at(-1) === 1;
  return wholeNumber(BigInt(`0x${bytes.toString('hex') || '0'}`).toString());
}

const two = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, '0'));
const pair = (number: number): string => two[number] ?? String(number);

function day(packet: Packet): string {
  const year = packet.readInt16();
  const month = packet.readInt8();
  return `${String(year).padStart(4, '0')}-${pair(month)}-${pair(packet.readInt8())}`;
}

/** What is zero at the end is not sent. */
const date: Read = (packet) => (packet.readInt8() === 0 ? '0000-00-00' : day(packet));

/** ISO 8601, but for zero dates, which are none of it. */
function dateTime(packet: Packet, decimals: number | undefined, zone: string): string {
  const length = packet.readInt8();
  if (length === 0) return '0000-00-00 00:00:00';
  const days = day(packet);
  const time =
    length > 4 ? `${pair(packet.readInt8())}:${pair(packet.readInt8())}:${pair(packet.readInt8())}` : '00:00:00';
  const fraction =
    length > 7
      ? `.${String(packet.readInt32())
          .padStart(6, '0')
          .slice(0, decimals || 6)}`
      : '';
  return days === '0000-00-00' ? `${days} ${time}${fraction}` : `${days}T${time}${fraction}${zone}`;
}
