/** What JSON can hold (RFC 8259); what the engine takes and gives is I-JSON (RFC 7493). */
export type JSONValue = string | number | boolean | null | JSONValue[] | { [key: string]: JSONValue };
/** A JSON object. Own keys alone: what strangers give may be called `__proto__`, see `setOwn`. */
export type JSONObject = { [key: string]: JSONValue };

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Puts a key that may be `__proto__` without touching the prototype. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  else target[key] = value;
}

/** A deep copy of JSON data, so that no two steps share a value they could change. */
export function cloneJSON<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(cloneJSON) as T;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) setOwn(copy, key, cloneJSON((value as Record<string, unknown>)[key]));
  return copy as T;
}
