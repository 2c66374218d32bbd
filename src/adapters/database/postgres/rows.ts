import { type JSONObject, type JSONValue, setOwn } from '../../../lib/json.ts';
import { rowKeys } from '../sql/values.ts';
import type { FieldDescription } from './exchange.ts';
import type { TypeCatalogue } from './types.ts';

/** Makes rows of the texts of their cells. */
export function rowMaker(
  fields: readonly FieldDescription[],
  types: TypeCatalogue,
): (cells: (string | null)[]) => JSONObject {
  const keys = rowKeys(fields.map(({ name }) => name));
  const decoders = fields.map(({ dataTypeID }) => types.get(dataTypeID).decode);
  const put: (row: JSONObject, key: string, value: JSONValue) => void = keys.includes('__proto__')
    ? setOwn
    : (row, key, value) => {
        row[key] = value;
      };
  return (cells) => {
    const row: JSONObject = {};
    for (let index = 0; index < keys.length; index += 1) {
      const cell = cells[index] ?? null;
      const decode = decoders[index];
      put(row, keys[index] ?? '', cell === null || decode === undefined ? cell : decode(cell));
    }
    return row;
  };
}
