import { JSONFlowError } from './errors.ts';

/** Checks an invariant of our own, in production too. A failure is a defect of JSONFlow, never of its input. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new JSONFlowError('INTERNAL', `invariant broken: ${what}`, { hint: 'Please report this.' });
}

/** Makes a `switch` exhaustive: a new kind fails to compile here. */
export function unreachable(kind: never, what: string): never {
  throw new JSONFlowError('INTERNAL', `unknown ${what}: ${JSON.stringify(kind)}`);
}
