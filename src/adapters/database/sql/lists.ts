import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { invalidParams } from '../errors.ts';
import { isTagged } from './values.ts';

interface Place {
  at: number;
  /** As it is written: `?`, or with a number or a name where the server has these. */
  text: string;
}

/**
 * The values of a text, as many as it has placeholders: a server may bind anything to one that has none. A list in place of one `?` becomes as many as it
 * has members, for `IN (?)`.
 *
 * @param parts matches what may hold a question mark, and as its group 1 the placeholders themselves
 * @throws StepError INVALID_PARAMS
 */
export function expandLists(
  text: string,
  values: unknown,
  parts: RegExp,
): { text: string; values: JSONValue[]; reuse: boolean } {
  const given = Array.isArray(values) ? (values as JSONValue[]) : [];
  const places = placesOf(text, parts);
  const wanted = wantedBy(places);
  if (wanted !== given.length) {
    const style = wanted === 0 && /\$\d/.test(text) ? '; here they are written ?, not $1' : '';
    throw invalidParams(`params.query has ${wanted} placeholders, but params.params ${given.length} values${style}`);
  }
  if (!given.some(Array.isArray)) return { text, values: given, reuse: true };
  if (places.some((place) => place.text !== '?'))
    throw invalidParams('params.params: a list needs placeholders that are written ?, without number or name');
  const all: JSONValue[] = [];
  let expanded = '';
  let from = 0;
  for (const [index, { at }] of places.entries()) {
    const value = given[index] ?? null;
    const list = Array.isArray(value) && isList(value) ? value : [value];
    expanded += `${text.slice(from, at)}${list.length === 0 ? 'NULL' : list.map(() => '?').join(', ')}`;
    all.push(...list);
    from = at + 1;
  }
  return { text: expanded + text.slice(from), values: all, reuse: true };
}

/** Values by name: each name of the text must have one. @throws StepError INVALID_PARAMS */
export function checkNames(text: string, values: JSONObject, parts: RegExp): void {
  for (const { text: name } of placesOf(text, parts)) {
    if (name.startsWith('?')) throw invalidParams('params.query has ?, which takes params.params as a list');
    if (!Object.hasOwn(values, name) && !Object.hasOwn(values, name.slice(1)))
      throw invalidParams(`params.params has no value for ${name} of params.query`);
  }
}

/** As SQLite counts: `?` takes the next number, `?7` that one, a name its own. */
function wantedBy(places: readonly Place[]): number {
  let highest = 0;
  const names = new Set<string>();
  for (const { text } of places) {
    if (text === '?') highest += 1;
    else if (text.startsWith('?')) highest = Math.max(highest, Number(text.slice(1)));
    else if (!names.has(text)) {
      names.add(text);
      highest += 1;
    }
  }
  return highest;
}

const isList = (value: readonly JSONValue[]): boolean =>
  value.every((member) => typeof member !== 'object' || member === null || (isObject(member) && isTagged(member)));

/** Where the placeholders are: not in texts, names and comments, which `parts` matches without its group. */
function placesOf(text: string, parts: RegExp): Place[] {
  const places: Place[] = [];
  for (const match of text.matchAll(parts))
    if (match[1] !== undefined) places.push({ at: match.index, text: match[1] });
  return places;
}
