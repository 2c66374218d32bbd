import { createHash } from 'node:crypto';
import type { KernelJob } from './messages.ts';

const countMax = 64;

/** Compiled programs by digest of what they were made of; those that were used last are kept. */
export class ProgramCache<Program> {
  readonly #programs = new Map<string, Program>();
  readonly #release: (program: Program) => void;

  constructor(release: (program: Program) => void) {
    this.#release = release;
  }

  /** @param extra what else the program depends on */
  get({ source, defines }: KernelJob, make: () => Program, extra = ''): { program: Program; cached: boolean } {
    const key = createHash('sha256')
      .update(JSON.stringify([source, Object.entries(defines), extra]))
      .digest('hex');
    const known = this.#programs.get(key);
    const program = known ?? make();
    this.#programs.delete(key);
    this.#programs.set(key, program);
    for (const [oldest, old] of this.#programs) {
      if (this.#programs.size <= countMax) break;
      this.#programs.delete(oldest);
      this.#release(old);
    }
    return { program, cached: known !== undefined };
  }
}
