import { messageOf } from '../../lib/errors.ts';

export interface VerifyProblem {
  /** BAD_EVIDENCE: it does not hold. NOT_TRUSTED: it holds, but the signer is not accepted. */
  code: 'BAD_EVIDENCE' | 'NOT_TRUSTED';
  /** Place in the bundle, such as `receipts[3]`. */
  where: string;
  message: string;
}

export interface VerifyCheck {
  name: string;
  ok: boolean;
  /** One line for people. */
  detail: string;
}

/** A bundle may be wrong in more places than anyone reads. */
const PROBLEMS_MAX = 1_000;

/** Collects what the checks find. */
export class Findings {
  readonly problems: VerifyProblem[] = [];
  readonly checks: VerifyCheck[] = [];
  #count = 0;

  /** Runs one check; it fails where it finds a problem. @param check answers what it found in order */
  check(name: string, check: () => string): void {
    const before = this.#count;
    let detail: string;
    try {
      detail = check();
    } catch (thrown) {
      detail = '';
      this.bad(name, `the check could not be carried out: ${messageOf(thrown)}`);
    }
    const found = this.#count - before;
    this.checks.push({ name, ok: found === 0, detail: found === 0 ? detail : counted(found, 'problem') });
  }

  bad(where: string, message: string): void {
    this.#add({ code: 'BAD_EVIDENCE', where, message });
  }

  untrusted(where: string, message: string): void {
    this.#add({ code: 'NOT_TRUSTED', where, message });
  }

  #add(problem: VerifyProblem): void {
    this.#count++;
    if (this.#count <= PROBLEMS_MAX) this.problems.push(problem);
    else if (this.#count === PROBLEMS_MAX + 1)
      this.problems.push({ code: 'BAD_EVIDENCE', where: 'bundle', message: 'further problems are not listed' });
  }
}

export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** A digest for people. */
export const short = (digest: string): string => `${digest.slice(0, 12)}…`;
