import { isObject, type JSONValue } from '../../../lib/json.ts';
import { invalidParams } from '../errors.ts';
import { isTagged } from './values.ts';

/**
 * A list in place of one `?` becomes as many as it has members, for `IN (?)`.
 * @param parts matches what may hold a question mark, and as its group 1 the placeholders themselves
 */
export function expandLists(
  text: string,
  values: unknown,
  parts: RegExp,
): { text: string; values: JSONValue[]; reuse: boolean } {
  const given = Array.isArray(values) ? (values as JSONValue[]) : [];
  if (!given.some(Array.isArray)) return { text, values: given, reuse: true };
  const places = placesOf(text, parts);
  if (places.length !== given.length)
    throw invalidParams(`params.query has ${places.length} placeholders, but params.params ${given.length} values`);
  const all: JSONValue[] = [];
  let expanded = '';
  let from = 0;
  for (const [index, place] of places.entries()) {
    const value = given[index] ?? null;
    const list = Array.isArray(value) && isList(value) ? value : [value];
    expanded += `${text.slice(from, place)}${list.length === 0 ? 'NULL' : list.map(() => '?').join(', ')}`;
    all.push(...list);
    from = place + 1;
  }
  return { text: expanded + text.slice(from), values: all, reuse: true };
}

const isList = (value: readonly JSONValue[]): boolean =>
  value.every((member) => typeof member !== 'object' || member === null || (isObject(member) && isTagged(member)));

/** Where the placeholders are: not in texts, names and comments, which `parts` matches without its group. */
function placesOf(text: string, parts: RegExp): number[] {
  const places: number[] = [];
  for (const match of text.matchAll(parts)) if (match[1] !== undefined) places.push(match.index);
  return places;
}
