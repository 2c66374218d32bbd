import { isObject, type JSONValue } from '../../lib/json.ts';

/** A compiled path into an item: undefined where there is nothing. */
export type Path = (item: JSONValue) => JSONValue | undefined;

/**
 * Compiles `a.b[0].c`. An item's own key that is written like the whole path wins (`"address.city"` as a column name). An
 * empty path is the item itself.
 */
export function compilePath(path: string): Path {
  if (path === '') return (item) => item;
  const names = path.split(/[.[\]]/).filter((name) => name !== '');
  return (item) => {
    if (isObject(item) && Object.hasOwn(item, path)) return item[path];
    let value: JSONValue | undefined = item;
    for (const name of names) value = child(value, name);
    return value;
  };
}

function child(value: JSONValue | undefined, name: string): JSONValue | undefined {
  if (Array.isArray(value)) return /^\d+$/.test(name) ? value[Number(name)] : undefined;
  return isObject(value) && Object.hasOwn(value, name) ? (value[name] as JSONValue) : undefined;
}

/** The name under which `fields: ['address.city']` puts its value: `city`. */
export const lastName = (path: string): string => /([^.[\]]+)\]?$/.exec(path)?.[1] ?? path;
