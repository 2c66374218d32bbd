import type { JSONObject, JSONValue } from '../../lib/json.ts';

/** The primary value of an output: what `$step.result` stands for. What a driver has put there itself stays. */
export function resultOf(type: string, output: JSONObject): JSONValue {
  if (output.result !== undefined) return output.result;
  const rows = output.rows ?? output.stored ?? output.plan;
  switch (type) {
    case 'db_query':
      return rows ?? null;
    case 'db_insert':
      return rows ?? output.inserted_id ?? output.inserted_ids ?? output.inserted ?? null;
    case 'db_update':
      return rows ?? output.updated ?? null;
    case 'db_transaction':
      return output.results ?? null;
    default:
      return output.applied ?? null;
  }
}
