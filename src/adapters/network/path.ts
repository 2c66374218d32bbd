import type { JSONValue } from '../../lib/json.ts';

/** What stands at a path such as `data.items[0].id`; the empty path is the value itself. Undefined where nothing does. */
export function valueAt(value: JSONValue | undefined, path: string): JSONValue | undefined {
  let at: unknown = value;
  for (const name of path.split(/[.[\]]+/)) {
    if (name === '') continue;
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at as JSONValue | undefined;
}
