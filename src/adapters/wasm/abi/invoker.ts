import type { Machine } from './machine.ts';
import type { Outcome } from './outcome.ts';
import type { CallInput } from './params.ts';
import type { Signature } from './signature.ts';

/** A function of a live instance, with the way in which its values cross; it may be called again and again. */
export type Invoker = (input: CallInput) => Outcome;

interface FunctionChoice {
  function: string;
  signature?: Signature | undefined;
  resultBytesMax: number;
}

/** Prepares calls of one function. @throws StepError FUNCTION_NOT_FOUND, ABI_MISMATCH */
export type CreateInvoker = (machine: Machine, choice: FunctionChoice) => Invoker;
