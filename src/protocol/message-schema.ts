import { JSONFlowError } from '../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../lib/json.ts';
import type { Stored } from './events.ts';
import { limits } from './limits.ts';
import type {
  AdapterManifest,
  Assignment,
  AttemptKey,
  Message,
  MessageKind,
  MessageOf,
  StepTypeManifest,
} from './messages.ts';
import { type Envelope, payloadType, type StepFailure } from './receipt.ts';

// Checks of what comes from a peer that may be hostile. They are written against the types of messages.ts: a field that is
// missing here, or checked as another type, does not compile. They are plain functions because every message of every run
// passes through them, and because compiled schemas need `new Function`, which hardened set-ups forbid.

/** Says what is wrong with a value, as the end of a sentence that begins with its path; nothing where all is well. */
type Check<T> = ((value: unknown) => string | undefined) & { readonly $type?: (value: T) => T };
interface OptionalCheck<T> {
  optional: Check<T>;
}
type Shape<T> = {
  [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? OptionalCheck<Exclude<T[K], undefined>> : Check<T[K]>;
};

const optional = <T>(check: Check<T>): OptionalCheck<T> => ({ optional: check });

/** Fields that are not named are left alone: a later version may have added them. */
function object<T extends object>(shape: Shape<T>): Check<T> {
  const entries = Object.entries(shape) as [string, Check<unknown> | OptionalCheck<unknown>][];
  const fields = entries.map(([name, check]) =>
    typeof check === 'function' ? { name, check, required: true } : { name, check: check.optional, required: false },
  );
  return (value) => {
    if (!isObject(value)) return ' must be an object';
    for (const { name, check, required } of fields) {
      const field = value[name];
      if (field === undefined && !required) continue;
      const problem = check(field);
      if (problem !== undefined) return `.${name}${problem}`;
    }
    return undefined;
  };
}

function array<T>(check: Check<T>, lengthMax: number): Check<T[]> {
  return (value) => {
    if (!Array.isArray(value)) return ' must be an array';
    if (value.length > lengthMax) return ` must not have more than ${lengthMax} elements`;
    for (let i = 0; i < value.length; i++) {
      const problem = check(value[i]);
      if (problem !== undefined) return `[${i}]${problem}`;
    }
    return undefined;
  };
}

function record<T>(check: Check<T>, sizeMax: number): Check<Record<string, T>> {
  return (value) => {
    if (!isObject(value)) return ' must be an object';
    const keys = Object.keys(value);
    if (keys.length > sizeMax) return ` must not have more than ${sizeMax} entries`;
    for (const key of keys) {
      // No honest name, and code that copies records key by key would set a prototype with it.
      if (key === '__proto__' || key.length > limits.idLengthMax) return ' has a name that is not allowed';
      const problem = check(value[key]);
      if (problem !== undefined) return `[${JSON.stringify(key)}]${problem}`;
    }
    return undefined;
  };
}

function oneOf<const T extends string>(...values: T[]): Check<T> {
  const set = new Set<unknown>(values);
  return (value) => (set.has(value) ? undefined : ` must be one of ${values.join(', ')}`);
}

const orNull =
  <T>(check: Check<T>): Check<T | null> =>
  (value) =>
    value === null ? undefined : check(value);

const text: Check<string> = (value) => (typeof value === 'string' ? undefined : ' must be a string');
const id: Check<string> = (value) =>
  typeof value === 'string' && value.length > 0 && value.length <= limits.idLengthMax
    ? undefined
    : ` must be a string of 1 to ${limits.idLengthMax} characters`;
const digestPattern = /^[0-9a-f]{64}$/;
const digest: Check<string> = (value) =>
  typeof value === 'string' && digestPattern.test(value) ? undefined : ' must be 64 lower-case hexadecimal digits';
const flag: Check<boolean> = (value) => (typeof value === 'boolean' ? undefined : ' must be true or false');
const natural: Check<number> = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : ' must be a whole number, 0 or more';
// JSON.parse turns 1e999 into Infinity.
const finite: Check<number> = (value) => (Number.isFinite(value) ? undefined : ' must be a finite number');
const amount: Check<number> = (value) =>
  Number.isFinite(value) && (value as number) >= 0 ? undefined : ' must be a finite number, 0 or more';
const amounts = record(amount, 1000);

const anyObject: Check<JSONObject> = (value) => (isObject(value) ? undefined : ' must be an object');
const reference = object<{ digest: string; bytes: number }>({ digest, bytes: natural });
/**
 * One form or the other: what has both could be checked by the one and used by the other. The value itself is data of the
 * workflow; whoever hashes it checks it.
 */
const stored: Check<Stored> = (value) => {
  if (!isObject(value) || !Object.hasOwn(value, 'value')) return reference(value);
  return Object.hasOwn(value, 'digest') || Object.hasOwn(value, 'bytes')
    ? ' must have either a value, or a digest and a size'
    : undefined;
};

const stepType = object<StepTypeManifest>({
  type: id,
  description: optional(text),
  params_schema: optional(anyObject),
  deterministic: optional(flag),
  asset_params: optional(array(id, 100)),
});
const adapter = object<AdapterManifest>({
  adapter_id: id,
  version: id,
  step_types: array(stepType, 1000),
  resources: optional(amounts),
});
const adapters = array(adapter, 1000);

const attempt = { run_id: id, step_id: id, attempt: natural, epoch: natural } satisfies Shape<AttemptKey>;
const attempts = array(object<AttemptKey>(attempt), limits.stepsMax);

const frequency: Check<NonNullable<Assignment['checkpoint_frequency']>> = (value) =>
  value === 'per_step' || value === 'on_change' || natural(value) === undefined
    ? undefined
    : ' must be per_step, on_change or a number of ms';

const segment: Check<string | number> = (value) => (typeof value === 'number' ? natural(value) : text(value));

const assignment = object<Assignment>({
  ...attempt,
  step_type: id,
  tenant_id: orNull(id),
  workflow_digest: digest,
  step_digest: digest,
  input_digest: digest,
  params: stored,
  pointers: array(array(segment, limits.jsonDepthMax), limits.stepsMax),
  parents: array(object<Assignment['parents'][number]>({ step_id: id, receipt_digest: digest }), limits.parentsMax),
  assets: optional(record(digest, limits.assetsPerStepMax)),
  timeout_ms: orNull(natural),
  resources: amounts,
  checkpoint: optional(stored),
  checkpoint_frequency: optional(frequency),
});

const envelope = object<Envelope>({
  payload: text,
  payloadType: oneOf(payloadType),
  signatures: array(object<Envelope['signatures'][number]>({ keyid: text, sig: text }), 1000),
});
const failure = object<StepFailure>({ code: text, message: text, retryable: flag });

/** The fields of every kind of message, besides `kind`. */
const shapes: { [K in MessageKind]: Shape<Omit<MessageOf<K>, 'kind'>> } = {
  hello: {
    versions: object<{ min: number; max: number }>({ min: natural, max: natural }),
    product: text,
    node_id: id,
    public_key: text,
    nonce: text,
    token: optional(text),
  },
  challenge: { version: natural, node_id: id, public_key: text, epoch: natural, nonce: text, signature: text },
  proof: {
    signature: text,
    adapters,
    resources: amounts,
    labels: record(text, 1000),
    slots: natural,
    backends: array(text, 1000),
    holding: attempts,
  },
  welcome: { epoch: natural, heartbeat_ms: natural, drop: attempts },
  refuse: { code: text, message: text },
  assign: { assignment },
  cancel: { ...attempt, why: text },
  progress: { ...attempt, fraction: orNull(finite), note: text },
  log: { ...attempt, level: oneOf('debug', 'info', 'warn', 'error'), text, at: finite },
  checkpoint: { ...attempt, save: natural, state: stored },
  'checkpoint.saved': { ...attempt, save: natural },
  result: { ...attempt, envelope, output: stored, output_digest: digest, error: optional(failure) },
  ack: { ...attempt, accepted: flag, why: optional(text) },
  return: { ...attempt, why: text },
  ping: { at: finite },
  pong: { at: finite, running: natural, free: amounts },
  manifest: { adapters, resources: amounts },
  goodbye: { why: text },
  'blob.get': { digest, id: natural },
  'blob.data': { id: natural, offset: natural, total: natural },
  'blob.missing': { id: natural },
  'blob.put': { digest, id: natural, total: natural },
  'blob.stored': { id: natural },
};

const checks = new Map<unknown, Check<object>>();
for (const [kind, shape] of Object.entries(shapes)) checks.set(kind, object(shape as Shape<object>));

/** A value at its own limit sits a few levels deep in the message that carries it. */
const depthMax = limits.jsonDepthMax + 8;

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  if (Array.isArray(value)) {
    for (const element of value) if (isDeeper(element, depth - 1)) return true;
    return false;
  }
  // Parsed JSON has no inherited keys; for…in is twice as fast as Object.values here.
  for (const key in value) if (isDeeper((value as Record<string, JSONValue>)[key], depth - 1)) return true;
  return false;
}

/**
 * What is wrong with a parsed JSON value as a message, as a sentence, or nothing where it is one. Fields that the kind does not
 * have are allowed. Data of workflows (params, outputs, states) is checked for its depth alone.
 */
export function messageProblem(value: unknown): string | undefined {
  if (!isObject(value)) return 'a message must be an object';
  const { kind } = value;
  const check = checks.get(kind);
  if (check === undefined)
    return typeof kind === 'string'
      ? `unknown kind ${JSON.stringify(kind.slice(0, 40))}`
      : 'a message must have a kind';
  const problem = check(value);
  if (problem !== undefined) return `${String(kind)}${problem}`;
  return isDeeper(value, depthMax) ? `${String(kind)} is nested deeper than ${depthMax} levels` : undefined;
}

/**
 * The same value, known to be a message.
 * @throws JSONFlowError INVALID_MESSAGE
 */
export function parseMessage(value: unknown): Message {
  const problem = messageProblem(value);
  if (problem !== undefined)
    throw new JSONFlowError('INVALID_MESSAGE', problem, { hint: 'Run the same version of JSONFlow on both nodes.' });
  return value as Message;
}
