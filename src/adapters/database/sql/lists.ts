import { clip } from '../../../lib/clip.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { invalidParams } from '../errors.ts';
import { isTagged } from './values.ts';

/** A placeholder in a text. */
export interface Place {
  at: number;
  /** As it is written: `?`, or with a number or a name where the server has these. */
  text: string;
}

/**
 * Where the placeholders are: not in texts, names and comments.
 * @param parts matches what may hold a question mark, and as its group 1 the placeholders themselves
 */
export function placesOf(text: string, parts: RegExp): Place[] {
  const places: Place[] = [];
  for (const match of text.matchAll(parts))
    if (match[1] !== undefined) places.push({ at: match.index, text: match[1] });
  return places;
}

/** A list in place of one `?` becomes as many as it has members, for `IN (?)`. @throws StepError INVALID_PARAMS */
export function expandLists(
  text: string,
  given: readonly JSONValue[],
  places: readonly Place[],
): { text: string; values: JSONValue[]; reuse: boolean } {
  if (places.length !== given.length || places.some((place) => place.text !== '?'))
    throw invalidParams(
      `params.params: with a list among them, each of the ${given.length} values needs a ? of its own, and params.query has ${places.length} placeholders`,
    );
  const all: JSONValue[] = [];
  let expanded = '';
  let from = 0;
  for (const [index, { at }] of places.entries()) {
    const value = given[index] ?? null;
    const list = Array.isArray(value) && isList(value) ? value : [value];
    expanded += `${text.slice(from, at)}${list.length === 0 ? 'NULL' : list.map(() => '?').join(', ')}`;
    // A list may be longer than what a call can take.
    for (const member of list) all.push(member);
    from = at + 1;
  }
  return { text: expanded + text.slice(from), values: all, reuse: true };
}

const isList = (value: readonly JSONValue[]): boolean =>
  value.every((member) => typeof member !== 'object' || member === null || (isObject(member) && isTagged(member)));

/** How many values the placeholders take, as SQLite counts: `?` takes the next number, `?7` that one. @throws StepError INVALID_PARAMS where one has a name */
export function countOf(places: readonly Place[]): number {
  let highest = 0;
  for (const { text } of places)
    if (text === '?') highest += 1;
    else if (text.startsWith('?')) highest = Math.max(highest, Number(text.slice(1)));
    else
      throw invalidParams(
        `params.query has the name ${clip(text, 60)}: give params.params as an object with a value for it, or write ? instead`,
      );
  return highest;
}

/** Values by name: each name of the text must have one. @throws StepError INVALID_PARAMS */
export function checkNames(places: readonly Place[], values: JSONObject): void {
  for (const { text: name } of places) {
    if (name === '?') throw invalidParams('params.query has ?, which takes params.params as a list');
    if (!Object.hasOwn(values, name) && !Object.hasOwn(values, name.slice(1)))
      throw invalidParams(`params.params has no value for ${clip(name, 60)} of params.query`);
  }
}
