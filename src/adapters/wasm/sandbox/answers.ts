import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import { decode } from '../abi/decode.ts';
import { checkSize, type Outcome, type OutputForm } from '../abi/outcome.ts';
import type { FromThread } from './messages.ts';
import type { RunFacts } from './order.ts';
import { crashed } from './worker-thread.ts';

/** A call that ran and failed, with what it used up to then. */
export class SandboxFailure extends StepError {
  readonly facts: RunFacts;
  constructor({ failure, facts }: FromThread & { kind: 'failed' }) {
    super(String(failure.code), String(failure.message), { retryable: failure.retryable === true });
    this.facts = factsOf(facts);
  }
}

/** A result as the user wants it. The thread ran foreign code: nothing that it says is taken for what it seems. */
export function resultOf(
  outcome: Outcome,
  form: OutputForm | undefined,
  outputBytesMax: number,
): JSONValue | Uint8Array {
  switch (outcome.kind) {
    case 'bytes':
      if (!(outcome.bytes instanceof Uint8Array)) throw crashed('its answer has no bytes');
      checkSize(outcome.bytes.length, outputBytesMax);
      break;
    case 'text':
      if (typeof outcome.text !== 'string') throw crashed('its answer has no text');
      checkSize(outcome.text.length, outputBytesMax);
      break;
    case 'value':
      if (!isFlat(outcome.value)) throw crashed('its answer is no value of JSON');
      break;
    default:
      throw crashed('its answer is of no known kind');
  }
  return decode(outcome, form ?? 'auto');
}

/** Functions give numbers, texts, truth values, and lists of these. */
const isFlat = (value: unknown): boolean => (Array.isArray(value) ? value.every(isScalar) : isScalar(value));

const isScalar = (value: unknown): boolean =>
  value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);

/** What a run used, as a thread tells it that may be anything but honest. @throws StepError where it is no such thing */
export function factsOf(facts: RunFacts): RunFacts {
  const { fuelUsed, memoryBytes, stderr, logs } = facts;
  const isSound =
    typeof fuelUsed === 'bigint' &&
    typeof memoryBytes === 'number' &&
    typeof stderr === 'string' &&
    Array.isArray(logs) &&
    logs.every(isLogLine);
  if (!isSound) throw crashed('its answer lacks what was used');
  return { fuelUsed, memoryBytes, stderr, logs };
}

const isLogLine = (line: unknown): boolean =>
  isObject(line) && typeof line.text === 'string' && ['debug', 'info', 'warn', 'error'].includes(String(line.level));
