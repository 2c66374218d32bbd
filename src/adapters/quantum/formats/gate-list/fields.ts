import { StepError } from '../../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../../lib/json.ts';
import { closest } from '../../../../lib/suggest.ts';

/** @param path such as `gates[3].qubit` */
export const refuse = (path: string, message: string): StepError =>
  new StepError('INVALID_PARAMS', `${path} ${message}`);

/** One entry of a list, whose fields are taken one by one, so that those nobody took are known. */
export class Fields {
  readonly path: string;
  readonly #entry: Record<string, JSONValue | undefined>;
  readonly #known = new Set<string>();

  /** @throws StepError INVALID_PARAMS where it is no object */
  constructor(entry: JSONValue, path: string, example = '{ "type": "H", "qubit": 0 }') {
    if (!isObject(entry)) throw refuse(path, `must be an object, such as ${example}`);
    this.#entry = entry as Record<string, JSONValue>;
    this.path = path;
  }

  at(name: string): string {
    return `${this.path}.${name}`;
  }

  take(name: string): JSONValue | undefined {
    this.#known.add(name);
    return Object.hasOwn(this.#entry, name) ? this.#entry[name] : undefined;
  }

  /** The field of the first of these names that is there. */
  first(...names: readonly string[]): { name: string; value: JSONValue } | undefined {
    const found = names.map((name) => ({ name, value: this.take(name) })).filter(({ value }) => value !== undefined);
    const [one, other] = found;
    if (one !== undefined && other !== undefined)
      throw refuse(this.path, `has both ${one.name} and ${other.name}, which mean the same`);
    return one as { name: string; value: JSONValue } | undefined;
  }

  number(name: string): number | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw refuse(this.at(name), 'must be a number');
    return value;
  }

  /** Whole numbers from 0, or one of them alone. */
  wholes(name: string): number[] | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    const list = Array.isArray(value) ? value : [value];
    return list.map((one, index) => {
      if (typeof one === 'number' && Number.isSafeInteger(one) && one >= 0) return one;
      throw refuse(
        Array.isArray(value) ? `${this.at(name)}[${index}]` : this.at(name),
        'must be a whole number from 0',
      );
    });
  }

  /** @throws StepError INVALID_PARAMS where a field was not taken */
  end(what: string): void {
    for (const name of Object.keys(this.#entry)) {
      if (this.#known.has(name)) continue;
      const meant = closest(name, this.#known);
      throw refuse(
        this.at(name),
        `is no field of ${what}${meant === undefined ? `; it takes ${[...this.#known].join(', ')}` : `; did you mean ${meant}?`}`,
      );
    }
  }
}
