import { isObject, type JSONObject, type JSONValue, setOwn } from '../../../lib/json.ts';
import { invalidParams } from '../errors.ts';

const segment = /\.?([\p{L}_$][\p{L}\p{N}_$-]*)|\[(\d{1,9})\]|\["((?:[^"\\]|\\.)*)"\]/uy;
const depthMax = 64;

/**
 * Replaces `{ "$result": "op.rows[0].id" }` by what an earlier operation gave, anywhere in the params of a later one.
 * @throws StepError INVALID_PARAMS where nothing is there
 */
export function withResults(params: JSONObject, results: ReadonlyMap<string, JSONObject>, at: string): JSONObject {
  function visit(value: JSONValue, depth: number): JSONValue {
    if (typeof value !== 'object' || value === null) return value;
    if (depth > depthMax) throw invalidParams(`${at} is nested deeper than ${depthMax} levels`);
    if (Array.isArray(value)) return value.map((inner) => visit(inner, depth + 1));
    if ('$json' in value) return value;
    if ('$result' in value) {
      if (typeof value.$result !== 'string' || Object.keys(value).length !== 1)
        throw invalidParams(`${at}: write { "$result": "operation.rows[0].id" }`);
      return resultAt(value.$result, results, at);
    }
    const copy: JSONObject = {};
    for (const [key, inner] of Object.entries(value)) setOwn(copy, key, visit(inner, depth + 1));
    return copy;
  }
  return visit(params, 0) as JSONObject;
}

function resultAt(path: string, results: ReadonlyMap<string, JSONObject>, at: string): JSONValue {
  const [name, ...rest] = segmentsOf(path, at);
  let value: JSONValue | undefined = results.get(String(name));
  if (value === undefined) throw invalidParams(`${at}: no earlier operation is called ${JSON.stringify(name)}`);
  for (const key of rest) {
    if (Array.isArray(value)) value = typeof key === 'number' ? value[key] : undefined;
    else value = isObject(value) && Object.hasOwn(value, key) ? (value as JSONObject)[key] : undefined;
    if (value === undefined) throw invalidParams(`${at}: "$result" ${JSON.stringify(path)} leads to nothing`);
  }
  return value;
}

function segmentsOf(path: string, at: string): (string | number)[] {
  const segments: (string | number)[] = [];
  segment.lastIndex = 0;
  while (segment.lastIndex < path.length) {
    const match = segment.exec(path);
    if (match === null)
      throw invalidParams(`${at}: "$result" ${JSON.stringify(path)} is no path such as op.rows[0].id`);
    const [, name, index, quoted] = match;
    segments.push(name ?? (index === undefined ? (JSON.parse(`"${quoted}"`) as string) : Number(index)));
  }
  if (typeof segments[0] !== 'string') throw invalidParams(`${at}: "$result" must begin with the id of an operation`);
  return segments;
}
