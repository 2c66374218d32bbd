import { Ajv, type ErrorObject } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { JSONFlowError, messageOf, StepError } from '../lib/errors.ts';
import { cloneJSON, isObject, type JSONObject, type JSONValue } from '../lib/json.ts';
import { normaliseParamsSchema } from '../lib/params-schema.ts';
import { SizeBudget } from '../lib/size-budget.ts';
import { toJSONValue } from '../lib/to-json.ts';
import type { ParamsWarning } from '../lib/validation-error.ts';
import type { Adapter, AdapterContext, AdapterHealth, AdapterStep } from '../ports/adapter.ts';
import { limits } from '../protocol/limits.ts';
import type { AdapterManifest, StepTypeManifest } from '../protocol/messages.ts';

/** An adapter as users may write it: `healthCheck` and `validate` may be missing. */
export type CustomAdapter = Pick<Adapter, 'getManifest' | 'execute'> & Partial<Adapter>;
/** An adapter, its class, or a function that makes it. */
export type AdapterSource = CustomAdapter | (new () => CustomAdapter) | (() => CustomAdapter);

export interface RegisteredStepType {
  adapter: CustomAdapter;
  manifest: AdapterManifest;
  stepType: StepTypeManifest;
  /** Problems of resolved params in plain words, without their values. */
  checkParams(params: JSONObject): string[];
}

/** How long an adapter may think over a question that is no step. */
const ANSWER_TIMEOUT_MS = 5_000;
const PROBLEMS_SHOWN_MAX = 5;
const WARNINGS_MAX = 100;
const ERROR_CODE = /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/;

/** The adapters of one node: who runs which step type, and how what they return becomes an output or a StepError. */
export class AdapterRegistry {
  readonly #adapters = new Map<string, { adapter: CustomAdapter; manifest: AdapterManifest; builtIn: boolean }>();
  readonly #stepTypes = new Map<string, RegisteredStepType>();
  readonly #schemas = new SchemaCompiler();

  /**
   * Takes an adapter in. Nothing is registered where it throws.
   *
   * @param options.builtIn its schemas are known to be sound: each is compiled when a step first needs it, which saves most of a short
   *   command's time
   * @returns its checked manifest, with `params_schema` as JSON Schema
   * @throws JSONFlowError INVALID_CONFIG that names the field; CONFLICT where the adapter's id or one of its step types is taken; a
   *   built-in adapter is replaced by one of its id
   */
  register(source: AdapterSource, options: { builtIn?: boolean } = {}): AdapterManifest {
    const adapter = instanceOf(source);
    const manifest = checkedManifest(adapter);
    const known = this.#adapters.get(manifest.adapter_id);
    // Whoever sets up a built-in adapter otherwise than by default means it instead.
    const replaced = known?.builtIn === true && options.builtIn !== true ? known : undefined;
    if (known !== undefined && replaced === undefined)
      throw new JSONFlowError('CONFLICT', `an adapter "${manifest.adapter_id}" is registered already`, {
        hint: 'Give each adapter its own adapter_id.',
      });
    const entries = manifest.step_types.map((stepType): RegisteredStepType => {
      const owner = this.#stepTypes.get(stepType.type);
      if (owner !== undefined && owner.adapter !== replaced?.adapter)
        throw new JSONFlowError(
          'CONFLICT',
          `step type "${stepType.type}" of adapter "${manifest.adapter_id}" belongs to adapter "${owner.manifest.adapter_id}"`,
          { hint: 'Give the step type another name.' },
        );
      const compile = () => this.#schemas.compile(stepType, manifest.adapter_id);
      return { adapter, manifest, stepType, checkParams: options.builtIn === true ? whenNeeded(compile) : compile() };
    });
    if (replaced !== undefined) this.#remove(manifest.adapter_id);
    this.#adapters.set(manifest.adapter_id, { adapter, manifest, builtIn: options.builtIn === true });
    for (const entry of entries) this.#stepTypes.set(entry.stepType.type, entry);
    return manifest;
  }

  #remove(id: string): void {
    const entry = this.#adapters.get(id);
    if (entry === undefined) return;
    this.#adapters.delete(id);
    for (const { type } of entry.manifest.step_types) this.#stepTypes.delete(type);
    void (async () => entry.adapter.close?.())().catch(() => undefined);
  }

  lookup(stepType: string): RegisteredStepType | undefined {
    return this.#stepTypes.get(stepType);
  }

  /** What the step's adapter says that it needs of a node; nothing where that is not amounts by name, or takes more than 5 s. */
  async requirements(step: AdapterStep): Promise<Readonly<Record<string, number>>> {
    try {
      const adapter = this.#stepTypes.get(step.type)?.adapter;
      const needed: unknown = await inTime(async () => adapter?.requirements?.(step), undefined);
      return isAmounts(needed) ? needed : {};
    } catch {
      // The step will fail with what is wrong with it, where that can be told in full.
      return {};
    }
  }

  /** What the step's adapter finds dangerous about it; nothing where the answer is not of that form. */
  lint(step: AdapterStep): ParamsWarning[] {
    try {
      const found: unknown = this.#stepTypes.get(step.type)?.adapter.lint?.(step);
      return Array.isArray(found) ? found.filter(isWarning).slice(0, WARNINGS_MAX) : [];
    } catch {
      return [];
    }
  }

  /** In the order of registration. */
  manifests(): AdapterManifest[] {
    return [...this.#adapters.values()].map(({ manifest }) => manifest);
  }

  stepTypes(): Map<string, StepTypeManifest> {
    return new Map([...this.#stepTypes].map(([type, { stepType }]) => [type, stepType]));
  }

  /** Health by adapter id. An adapter that throws or doesn't answer within 5 s counts as `failed`, one without a check as `unknown`. */
  async health(): Promise<Record<string, AdapterHealth>> {
    const answers = [...this.#adapters].map(
      async ([id, { adapter }]): Promise<[string, AdapterHealth]> => [id, await healthOf(adapter)],
    );
    return Object.fromEntries(await Promise.all(answers));
  }

  /** Closes all adapters, also where one fails to. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#adapters.values()].map(async ({ adapter }) => adapter.close?.()));
  }

  /**
   * Checks the params, runs the step and brings what the adapter returned into the one form: a fresh JSON value, `null` for
   * nothing.
   *
   * @throws StepError and nothing else: the adapter's own, INVALID_PARAMS, INVALID_OUTPUT, LIMIT_EXCEEDED, ADAPTER_CRASHED, NODE_REFUSED where no
   *   adapter has the step type, and the signal's reason where the step was aborted
   */
  async run(step: AdapterStep, context: AdapterContext): Promise<JSONValue> {
    const entry = this.#stepTypes.get(step.type);
    if (entry === undefined)
      throw new StepError('NODE_REFUSED', `this node has no adapter for "${step.type}"`, { retryable: true });
    const problems = entry.checkParams(step.params);
    if (problems.length > 0) throw new StepError('INVALID_PARAMS', problems.join('; '));
    try {
      const verdict = await entry.adapter.validate?.(step);
      if (verdict !== undefined && !verdict.valid)
        throw new StepError(
          verdict.code ?? 'INVALID_PARAMS',
          verdict.error ?? `the adapter refuses the params of "${step.type}"`,
        );
      context.signal.throwIfAborted();
      return normaliseOutput(await entry.adapter.execute(step, context));
    } catch (thrown) {
      throw asStepError(thrown, context.signal, entry.manifest.adapter_id);
    }
  }
}

type ParamsCheck = RegisteredStepType['checkParams'];

function whenNeeded(compile: () => ParamsCheck): ParamsCheck {
  let check: ParamsCheck | undefined;
  return (params) => {
    check ??= compile();
    return check(params);
  };
}

function instanceOf(source: AdapterSource): CustomAdapter {
  let adapter: unknown = source;
  if (typeof source === 'function') {
    try {
      // An arrow function has no prototype and can't be constructed: it is a factory.
      adapter = source.prototype === undefined ? (source as () => CustomAdapter)() : Reflect.construct(source, []);
    } catch (thrown) {
      throw invalid(`the adapter could not be made: ${messageOf(thrown)}`);
    }
  }
  if (!isObject(adapter)) throw invalid('an adapter must be an object or a class');
  for (const method of ['getManifest', 'execute'])
    if (typeof adapter[method] !== 'function') throw invalid(`the adapter has no method ${method}()`);
  for (const method of ['validate', 'requirements', 'lint', 'healthCheck', 'close'])
    if (adapter[method] !== undefined && typeof adapter[method] !== 'function')
      throw invalid(`the adapter's ${method} is not a method`);
  return adapter as unknown as CustomAdapter;
}

const invalid = (message: string): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', message, { hint: 'See docs/adapters/custom.md for the form of an adapter.' });

function checkedManifest(adapter: CustomAdapter): AdapterManifest {
  let given: unknown;
  try {
    given = adapter.getManifest();
  } catch (thrown) {
    throw invalid(`getManifest() threw: ${messageOf(thrown)}`);
  }
  if (!isObject(given) || given instanceof Promise) throw invalid('getManifest() must return an object');
  const { adapter_id, version, step_types, resources } = given;
  checkName(adapter_id, 'adapter_id');
  checkName(version, 'version');
  if (!Array.isArray(step_types) || step_types.length === 0)
    throw invalid('manifest: step_types must be a list that is not empty');
  const types = step_types.map((stepType: unknown, index) => checkedStepType(stepType, `step_types[${index}]`));
  const twice = types.find(({ type }, index) => types.findIndex((other) => other.type === type) !== index);
  if (twice !== undefined) throw invalid(`manifest: step_types names "${twice.type}" twice`);
  const manifest: AdapterManifest = { adapter_id, version, step_types: types };
  if (resources === undefined) return manifest;
  if (!isAmounts(resources)) throw invalid('manifest: resources must be numbers by name, 0 or more');
  return { ...manifest, resources: { ...resources } };
}

const isAmounts = (value: unknown): value is Record<string, number> =>
  isObject(value) && Object.values(value).every((amount) => Number.isFinite(amount) && Number(amount) >= 0);

const isWarning = (value: unknown): value is ParamsWarning =>
  isObject(value) &&
  typeof value.message === 'string' &&
  (value.suggestion === undefined || typeof value.suggestion === 'string') &&
  Array.isArray(value.path) &&
  value.path.every((segment) => typeof segment === 'string' || Number.isSafeInteger(segment));

function checkName(value: unknown, field: string): asserts value is string {
  if (typeof value !== 'string' || value === '' || value.length > limits.idLengthMax)
    throw invalid(`manifest: ${field} must be a text of 1 to ${limits.idLengthMax} characters`);
}

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length <= 100 &&
  value.every((name) => typeof name === 'string' && name !== '' && name.length <= limits.idLengthMax);

function checkedStepType(value: unknown, field: string): StepTypeManifest {
  if (!isObject(value)) throw invalid(`manifest: ${field} must be an object`);
  const { type, description, params_schema, deterministic, asset_params } = value;
  checkName(type, `${field}.type`);
  if (description !== undefined && typeof description !== 'string')
    throw invalid(`manifest: ${field}.description must be a text`);
  if (deterministic !== undefined && typeof deterministic !== 'boolean')
    throw invalid(`manifest: ${field}.deterministic must be true or false`);
  if (params_schema !== undefined && !isObject(params_schema))
    throw invalid(`manifest: ${field}.params_schema must be an object`);
  if (asset_params !== undefined && !isNames(asset_params))
    throw invalid(`manifest: ${field}.asset_params must be a list of at most 100 names of params`);
  try {
    return {
      type,
      ...(description === undefined ? {} : { description }),
      params_schema: normaliseParamsSchema(cloneJSON(params_schema) as JSONObject | undefined),
      deterministic: deterministic ?? false,
      ...(asset_params === undefined ? {} : { asset_params: [...asset_params] }),
    };
  } catch (thrown) {
    throw invalid(`manifest: ${field}.${messageOf(thrown)}`);
  }
}

const newAjv = (draft7: boolean): Ajv =>
  new (draft7 ? Ajv : Ajv2020)({ strict: false, allErrors: true, logger: false });

/** Compiles params schemas. Making an Ajv takes longer than using it, so schemas share one unless their `$id`s could meet. */
class SchemaCompiler {
  #shared: Ajv | undefined;

  /** @throws JSONFlowError INVALID_CONFIG where it is no JSON Schema */
  compile({ type, params_schema = {} }: StepTypeManifest, adapterId: string): (params: JSONObject) => string[] {
    const draft7 = typeof params_schema.$schema === 'string' && /draft-0[4-7]/.test(params_schema.$schema);
    try {
      const check = this.#ajvFor(params_schema, draft7).compile(params_schema);
      return (params) => (check(params) ? [] : plainProblems(check.errors ?? []));
    } catch (thrown) {
      throw invalid(`params_schema of "${type}" (adapter "${adapterId}") is not a JSON Schema: ${messageOf(thrown)}`);
    }
  }

  #ajvFor(schema: JSONObject, draft7: boolean): Ajv {
    if (draft7 || JSON.stringify(schema).includes('"$id"')) return newAjv(draft7);
    this.#shared ??= newAjv(false);
    return this.#shared;
  }
}

/** Says which param is wrong and how, never its value: that could be a secret. */
const plainProblems = (errors: readonly ErrorObject[]): string[] =>
  errors.slice(0, PROBLEMS_SHOWN_MAX).map(({ instancePath, keyword, params, message }) => {
    const where = `params${instancePath.replace(/\/(\d+)(?=\/|$)/g, '[$1]').replaceAll('/', '.')}`;
    if (keyword === 'additionalProperties') return `${where} has the unknown field "${params.additionalProperty}"`;
    if (keyword === 'enum') return `${where} must be one of ${JSON.stringify(params.allowedValues)}`;
    return `${where} ${message ?? 'is invalid'}`;
  });

/** Takes a bare output or the receipt-like form apart. */
function normaliseOutput(returned: unknown): JSONValue {
  if (!isReceiptLike(returned)) return outputOf(returned);
  if (returned.status === 'success') return outputOf(returned.output);
  const { code, message, retryable, retriable } = isObject(returned.error) ? returned.error : {};
  throw new StepError(
    typeof code === 'string' && ERROR_CODE.test(code) ? code : 'STEP_FAILED',
    typeof message === 'string'
      ? message
      : typeof returned.error === 'string'
        ? returned.error
        : 'the adapter reports a failure',
    { retryable: retryable === true || retriable === true },
  );
}

const isReceiptLike = (value: unknown): value is Record<string, unknown> =>
  isObject(value) &&
  typeof value.step_id === 'string' &&
  (value.status === 'failed' || (value.status === 'success' && 'output' in value));

function outputOf(value: unknown): JSONValue {
  try {
    return toJSONValue(value, new SizeBudget(limits.blobBytesMax));
  } catch (thrown) {
    if (thrown instanceof JSONFlowError) throw new StepError(thrown.code, thrown.message);
    throw thrown;
  }
}

function asStepError(thrown: unknown, signal: AbortSignal, adapterId: string): StepError {
  if (thrown instanceof StepError) return thrown;
  // Libraries answer an abort with errors of their own; the reason says more.
  if (signal.aborted && signal.reason instanceof StepError) return signal.reason;
  if (isObject(thrown)) {
    const { code, message, retryable, retriable } = thrown;
    const may = retryable ?? retriable;
    if (typeof code === 'string' && ERROR_CODE.test(code) && typeof may === 'boolean')
      return new StepError(code, typeof message === 'string' ? message : code, { retryable: may, cause: thrown });
  }
  return new StepError(
    'ADAPTER_CRASHED',
    `adapter "${adapterId}" failed unexpectedly: ${messageOf(thrown).split('\n', 1)[0]}`,
    {
      cause: thrown,
    },
  );
}

async function healthOf(adapter: CustomAdapter): Promise<AdapterHealth> {
  const timestamp = new Date().toISOString();
  if (adapter.healthCheck === undefined) return { status: 'unknown', timestamp };
  try {
    const late: AdapterHealth = { status: 'failed', timestamp, message: `no answer within ${ANSWER_TIMEOUT_MS} ms` };
    return (await inTime(async () => adapter.healthCheck?.(), late)) ?? { status: 'unknown', timestamp };
  } catch (thrown) {
    return { status: 'failed', timestamp, message: messageOf(thrown).split('\n', 1)[0] };
  }
}

/** @param late the answer where there is none in time */
async function inTime<T>(ask: () => Promise<T>, late: T): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  const timer = setTimeout(() => resolve(late), ANSWER_TIMEOUT_MS);
  try {
    return await Promise.race([ask(), promise]);
  } finally {
    clearTimeout(timer);
  }
}
