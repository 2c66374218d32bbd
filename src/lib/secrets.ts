import { JSONFlowError } from './errors.ts';
import { cloneJSON, isObject, type JSONObject, type JSONValue, setOwn } from './json.ts';
import { formatPath, type PathSegment } from './json-path.ts';

/** A secret's place, as `vault://name`, `vault://name#version` or `vault://name@version` states it. */
export interface SecretPointer {
  name: string;
  /** Absent for the latest. */
  version?: string;
}

/** A secret that was resolved, with the pointer that stands for it wherever it must not be seen. */
export interface Secret {
  pointer: string;
  value: string;
}

const scheme = 'vault://';
const pointerPattern = /^vault:\/\/([\w.-]+(?:\/[\w.-]+)*)(?:[#@]([\w.-]+))?$/;
const POINTER_LENGTH_MAX = 512;
/** Shorter values would be found in half of all texts, so they are not looked for. */
const REDACTED_LENGTH_MIN = 4;
/** Base64 that was cut out of a longer text is looked for from this length on. */
const EMBEDDED_LENGTH_MIN = 8;

/** Whether the text is meant as a pointer. It may still be malformed: `parsePointer` tells. */
const isPointer = (text: string): boolean => text.startsWith(scheme);

/**
 * @throws JSONFlowError INVALID_PARAMS where the text is no pointer. Names are segments of letters, digits, `_`, `.` and `-`, joined by `/`.
 */
export function parsePointer(text: string): SecretPointer {
  const match = text.length <= POINTER_LENGTH_MAX ? pointerPattern.exec(text) : null;
  const [, name, version] = match ?? [];
  if (name === undefined || name.split('/').some((segment) => segment === '.' || segment === '..'))
    throw new JSONFlowError('INVALID_PARAMS', 'a vault pointer is malformed', {
      hint: 'Write vault://name, vault://name#version or vault://name@version; names hold letters, digits, "_", ".", "-" and "/".',
    });
  return version === undefined ? { name } : { name, version };
}

/**
 * Where in a step's params, as its workflow states them, pointers stand. Only these count: a text that merely looks like one and
 * comes out of another step, or of the run's input, must not fetch a secret.
 */
export function findPointers(params: JSONObject): PathSegment[][] {
  const found: PathSegment[][] = [];
  const visit = (value: JSONValue, path: PathSegment[]): void => {
    if (typeof value === 'string') {
      // A name put together from other values could name any secret, so a template is no pointer.
      if (isPointer(value) && !value.includes('${')) found.push(path);
    } else if (Array.isArray(value)) for (const [index, inner] of value.entries()) visit(inner, [...path, index]);
    else if (isObject(value))
      for (const [key, inner] of Object.entries(value)) visit(inner as JSONValue, [...path, key]);
  };
  visit(params, []);
  return found;
}

/**
 * Replaces the pointers at the given paths by their secrets. Each distinct pointer is resolved once. The params given are left as
 * they are; they are returned themselves where there is nothing to replace.
 *
 * @param paths of `findPointers`
 * @param resolve a vault's `resolve`
 * @throws what `parsePointer` and `resolve` throw
 */
export async function resolvePointers(
  params: JSONObject,
  paths: readonly (readonly PathSegment[])[],
  resolve: (name: string, version?: string) => Promise<string>,
): Promise<{ params: JSONObject; secrets: Secret[] }> {
  if (paths.length === 0) return { params, secrets: [] };
  const values = new Map<string, string>();
  const copy = cloneJSON(params);
  for (const path of paths) {
    const parent = path.slice(0, -1).reduce<unknown>(memberOf, copy);
    const last = path.at(-1) ?? '';
    const pointer = memberOf(parent, last);
    if (typeof pointer !== 'string' || typeof parent !== 'object' || parent === null)
      throw new JSONFlowError('INVALID_PARAMS', `there is no vault pointer at ${formatPath(path, 'params')}`);
    const { name, version } = parsePointer(pointer);
    let value = values.get(pointer);
    if (value === undefined) {
      value = await (version === undefined ? resolve(name) : resolve(name, version));
      values.set(pointer, value);
    }
    setOwn(parent as Record<string, unknown>, String(last), value);
  }
  return { params: copy, secrets: [...values].map(([pointer, value]) => ({ pointer, value })) };
}

const memberOf = (value: unknown, segment: PathSegment): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, segment)
    ? (value as Record<PathSegment, unknown>)[segment]
    : undefined;

function replaceStrings(value: JSONValue, replace: (text: string) => string, keysToo: boolean): JSONValue {
  if (typeof value === 'string') return replace(value);
  if (Array.isArray(value)) return value.map((inner) => replaceStrings(inner, replace, keysToo));
  if (!isObject(value)) return value;
  const copy: JSONObject = {};
  for (const [key, inner] of Object.entries(value))
    setOwn(copy, keysToo ? replace(key) : key, replaceStrings(inner as JSONValue, replace, keysToo));
  return copy;
}

const unchanged = (text: string): string => text;

/**
 * A function that replaces every secret in a text by its pointer: as it is, in base64 (also inside a longer encoded text, as
 * in HTTP basic authentication), base64url, hexadecimal, URL-encoded and escaped as in JSON; of a URL also its password alone.
 * Values under 4 characters, passwords of URLs under 8, are not looked for. One pass over the text for each form.
 */
export function redactor(secrets: readonly Secret[]): (text: string) => string {
  const pointers = new Map<string, string>();
  for (const { pointer, value } of secrets)
    if (value.length >= REDACTED_LENGTH_MIN)
      for (const form of formsOf(value)) if (!pointers.has(form)) pointers.set(form, pointer);
  if (pointers.size === 0) return unchanged;
  // The longest first, so that no part of a secret stays behind where another secret is a part of it.
  const forms = [...pointers].sort(([left], [right]) => right.length - left.length);
  return (text) => {
    let redacted = text;
    for (const [form, pointer] of forms)
      if (redacted.includes(form)) redacted = redacted.replaceAll(form, () => pointer);
    return redacted;
  };
}

/** Redacts all strings and keys of a JSON value. Returns a copy, or the value itself where there is nothing to look for. */
export function redactJSON(value: JSONValue, redact: (text: string) => string): JSONValue {
  return redact === unchanged ? value : replaceStrings(value, redact, true);
}

function formsOf(secret: string): Set<string> {
  const bytes = Buffer.from(secret, 'utf8');
  const hex = bytes.toString('hex');
  const percent = encodeURIComponent(secret.toWellFormed());
  const lowerPercent = percent.replace(/%[0-9A-F]{2}/g, (encoded) => encoded.toLowerCase());
  const base64 = bytes.toString('base64');
  const forms = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    ...linesOf(secret),
    ...passwordOf(secret),
    hex,
    hex.toUpperCase(),
    percent,
    lowerPercent,
    percent.replaceAll('%20', '+'),
    new URLSearchParams([['', secret]]).toString().slice(1),
    base64,
    base64.replace(/=+$/, ''),
    bytes.toString('base64url'),
    ...embeddedBase64(bytes),
  ];
  return new Set(forms.filter((form) => form.length >= REDACTED_LENGTH_MIN));
}

/** The lines of a key in PEM and the like: a log may break the text there. */
const linesOf = (secret: string): string[] =>
  secret.includes('\n') ? secret.split(/\r?\n/).filter((line) => line.length >= 16 && !line.startsWith('-----')) : [];

/** The password of a secret that is a URL, as it stands there and decoded: drivers and servers see it apart from the rest. */
function passwordOf(secret: string): string[] {
  const { password } = URL.parse(secret) ?? { password: '' };
  if (password.length < EMBEDDED_LENGTH_MIN) return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}

/** The characters that the bytes alone decide when base64 holds them at any of its three alignments. */
function embeddedBase64(bytes: Buffer): string[] {
  const forms: string[] = [];
  for (const before of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const start = Math.ceil((before * 8) / 6);
    const end = Math.floor(((before + bytes.length) * 8) / 6);
    const form = encoded.slice(start, end);
    if (form.length >= EMBEDDED_LENGTH_MIN) forms.push(form, form.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms;
}
