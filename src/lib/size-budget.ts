import { JSONFlowError } from './errors.ts';
import { isObject } from './json.ts';

// What values take in memory, in bytes and roughly: a value of two characters takes far more there than in its text.
const VALUE_COST = 16;
const CONTAINER_COST = 64;

/** How much memory a value that grows may take. One that is shared counts each time it is met, as it does in the value's text. */
export class SizeBudget {
  readonly #bytes: number;
  #left: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#left = bytes;
  }

  /** Bytes that are left; below 0 once they did not suffice. */
  get left(): number {
    return this.#left;
  }

  /** @throws JSONFlowError LIMIT_EXCEEDED where no more than `bytes` are left */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0)
      throw new JSONFlowError('LIMIT_EXCEEDED', `the value takes more than ${this.#bytes} bytes of memory`, {
        hint: 'Make it smaller, or split the work into steps.',
      });
  }

  /** Accounts for a value without what is inside of it. @throws as `spend` */
  spendValue(value: unknown): void {
    if (typeof value === 'string') this.spend(VALUE_COST + value.length);
    else this.spend(typeof value === 'object' && value !== null ? VALUE_COST + CONTAINER_COST : VALUE_COST);
  }

  /** Accounts for a key of an object. @throws as `spend` */
  spendKey(key: string): void {
    this.spend(CONTAINER_COST + key.length);
  }

  /** Accounts for a value with all that is inside of it. @throws as `spend` */
  spendAll(value: unknown): void {
    this.spendValue(value);
    if (Array.isArray(value)) {
      for (const element of value) this.spendAll(element);
    } else if (isObject(value)) {
      for (const key of Object.keys(value)) {
        this.spendKey(key);
        this.spendAll(value[key]);
      }
    }
  }
}
