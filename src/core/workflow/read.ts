import { isSoundNumber } from '../../lib/canonical.ts';
import { type JSONValue, setOwn } from '../../lib/json.ts';
import type { PathSegment } from '../../lib/json-path.ts';
import { limits } from '../../protocol/limits.ts';
import type { Report } from './report.ts';

export interface Reading {
  /** A copy that shares nothing with what was read, so that later changes to that do no harm. */
  value: JSONValue;
  /** Members of all objects. */
  members: number;
}

/** Thrown to give up where going on would cost without bound. */
const giveUp = Symbol('give up');

/**
 * Copies a value as JSON data and reports what JSON can't carry exactly: numbers that lose digits, lone surrogates, functions,
 * dates, classes, holes, cycles. Members that are undefined are left out, as JSON.stringify does it.
 *
 * @returns undefined where no sensible value is left to go on with
 */
export function readValue(source: unknown, report: Report): Reading | undefined {
  const reader = new Reader(report);
  try {
    const value = reader.read(source);
    return value === undefined ? undefined : { value, members: reader.members };
  } catch (thrown) {
    // Getters and proxies run foreign code.
    if (thrown !== giveUp) report.add('NOT_I_JSON', [], 'the workflow object threw an error when it was read');
    return undefined;
  }
}

class Reader {
  members = 0;
  readonly #report: Report;
  readonly #path: PathSegment[] = [];
  /** Bytes that the workflow takes at least: an object that shares its parts can be far larger than it looks. */
  #bytes = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  read(value: unknown): JSONValue | undefined {
    this.#spend(2);
    switch (typeof value) {
      case 'string':
        this.#spend(value.length);
        if (!value.isWellFormed()) this.#refuse('the text contains half of a surrogate pair, which is no character');
        return value;
      case 'number':
        if (!isSoundNumber(value)) {
          this.#refuse(
            Number.isFinite(value)
              ? 'the integer is beyond ±(2^53 − 1), so that readers of JSON would round it'
              : `the number ${value < 0 ? '-' : ''}${Number.isNaN(value) ? 'NaN' : 'Infinity'} has no form in JSON, or is too large for it`,
            'Write it as a text.',
          );
        }
        return value;
      case 'boolean':
        return value;
      case 'object':
        return value === null ? null : this.#readContainer(value);
      default:
        this.#refuse(`a value of type ${typeof value} has no form in JSON`);
        return undefined;
    }
  }

  #readContainer(value: object): JSONValue | undefined {
    if (this.#path.length >= limits.jsonDepthMax) {
      const cut = this.#path.slice(0, 4);
      this.#report.add(
        'TOO_DEEP',
        cut,
        `the workflow is nested deeper than ${limits.jsonDepthMax} levels, or contains itself`,
      );
      throw giveUp;
    }
    if (Array.isArray(value)) return this.#readArray(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    // Plain objects of another realm have another Object.prototype, which has no prototype either.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      this.#refuse('only plain objects and lists have a form in JSON, not instances of a class');
      return undefined;
    }
    return this.#readObject(value as Record<string, unknown>);
  }

  #readArray(array: readonly unknown[]): JSONValue {
    const copy: JSONValue[] = [];
    for (let index = 0; index < array.length; index++) {
      this.#path.push(index);
      copy.push(this.read(array[index]) ?? null);
      this.#path.pop();
    }
    return copy;
  }

  #readObject(object: Record<string, unknown>): JSONValue {
    const copy: Record<string, JSONValue> = {};
    for (const key of Object.keys(object)) {
      const member = object[key];
      if (member === undefined) continue;
      this.#path.push(key);
      this.members++;
      this.#spend(key.length + 2);
      if (!key.isWellFormed()) this.#refuse('the key contains half of a surrogate pair, which is no character');
      const value = this.read(member);
      if (value !== undefined) setOwn(copy, key, value);
      this.#path.pop();
    }
    return copy;
  }

  #refuse(message: string, suggestion?: string): void {
    this.#report.add('NOT_I_JSON', this.#path, message, { suggestion });
  }

  #spend(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= limits.workflowBytesMax) return;
    this.#report.add('TOO_LARGE', [], `the workflow is larger than ${limits.workflowBytesMax / 2 ** 20} MiB`);
    throw giveUp;
  }
}
