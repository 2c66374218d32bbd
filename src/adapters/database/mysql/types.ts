import type { Field } from '../sql/session.ts';

/** What mysql2 tells about a column. */
export interface Column {
  name: string;
  columnType?: number | undefined;
  columnLength?: number | undefined;
  flags?: number | undefined;
  decimals?: number | undefined;
  characterSet?: number | undefined;
  /** Of its texts. */
  encoding?: string | undefined;
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
export const binaryCharset = 63;
const enumFlag = 256;
const setFlag = 2048;

/** A result's column by the type that its author wrote: the protocol has one for text and bytes, and one for booleans and small numbers. */
export function fieldOf(column: Column): Field {
  const { name, columnType = 6, columnLength, characterSet, extendedFormat } = column;
  const { flags = 0 } = column;
  if (extendedFormat === 'json') return { name, type: 'json' };
  if ((flags & enumFlag) !== 0) return { name, type: 'enum' };
  if ((flags & setFlag) !== 0) return { name, type: 'set' };
  const type = names[columnType] ?? `type ${columnType}`;
  if (columnType === 1 && columnLength === 1) return { name, type: 'tinyint(1)' };
  if (characterSet === binaryCharset)
    return { name, type: type === 'varchar' ? 'varbinary' : type === 'char' ? 'binary' : type };
  return { name, type: type.replace('blob', 'text') };
}
