import { verdictOf } from '../../kit/verdict.ts';
import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../lib/json.ts';
import type { Adapter, AdapterContext, AdapterStep } from '../../ports/adapter.ts';
import { limits } from '../../protocol/limits.ts';
import { detectAbi } from './abi/detect.ts';
import { functionsOf } from './abi/machine.ts';
import type { OutputForm } from './abi/outcome.ts';
import type { CallInput } from './abi/params.ts';
import { parseSignature } from './abi/signature.ts';
import { callInput, isBytesInput, itemsOf, stdinOf } from './call-input.ts';
import { CompiledModules } from './compiled/compiled.ts';
import { describe } from './describe.ts';
import { refuseImports } from './host/imports.ts';
import { policyLimits } from './policy.ts';
import { jsonOf, listOf, wholeOf } from './results.ts';
import { SandboxFailure } from './sandbox/answers.ts';
import type { CallPlan, CallSettings, InstanceOrder, RunFacts, SandboxModule } from './sandbox/order.ts';
import { Sandbox } from './sandbox/sandbox.ts';
import { stepTypes } from './schemas.ts';
import { findModule, type ModuleSource, type SourceDeps } from './source/source.ts';
import type { Abi, Policy } from './types.ts';

const version = '1.0.0';
const pageBytes = 64 * 1024;
const pagesPerMb = (1024 * 1024) / pageBytes;
const fuelDefault = 10_000_000_000;
const compiledBytesMax = 256 * 1024 * 1024;
const outputBytesMax = limits.blobBytesMax;

export interface WasmOptions {
  /** Compiled modules that are kept. Default 100. */
  module_cache_size?: number;
  /** Memory that one instance may have, whatever a step asks for, in MiB. Default 1,024. */
  memory_limit_mb?: number;
}

interface Deps extends SourceDeps {
  compiled: CompiledModules;
  sandbox: Sandbox;
  pagesMax: number;
}

/** The adapter `wasm`: `wasm_execute`, `wasm_load` and `wasm_streaming`. Params: docs/adapters/wasm.md. */
export function createWasmAdapter(
  source: SourceDeps,
  options: WasmOptions = {},
): Adapter & Required<Pick<Adapter, 'validate' | 'close'>> {
  const { module_cache_size: countMax = 100, memory_limit_mb: memoryLimitMb = 1024 } = options;
  const deps: Deps = {
    ...source,
    compiled: new CompiledModules({ countMax, bytesMax: compiledBytesMax }),
    sandbox: new Sandbox(),
    pagesMax: Math.min(65_536, Math.floor(memoryLimitMb * pagesPerMb)),
  };
  return {
    getManifest: () => ({ adapter_id: 'wasm', version, step_types: stepTypes }),
    validate: ({ params: { signature } }) =>
      verdictOf(() => void (typeof signature === 'string' && parseSignature(signature))),
    execute(step, context): Promise<JSONValue> {
      switch (step.type) {
        case 'wasm_execute':
          return execute(step, context, deps);
        case 'wasm_load':
          return load(step, context, deps);
        case 'wasm_streaming':
          return stream(step, context, deps);
        default:
          throw new StepError('INVALID_PARAMS', `the adapter wasm has no step type "${step.type}"`);
      }
    },
    healthCheck: () => ({ status: 'ok', timestamp: new Date().toISOString() }),
    async close(): Promise<void> {
      deps.compiled.clear();
      await deps.sandbox.close();
    },
  };
}

async function execute({ params }: AdapterStep, context: AdapterContext, deps: Deps): Promise<JSONValue> {
  const { order, source } = await instanceOrder(params, context, deps);
  const input = await callInput(params, context);
  const { result, ...facts } = await deps.sandbox.call({ ...order, input }, context.signal).catch(telling(context));
  tell(facts, context);
  return {
    result: await jsonOf(result, context),
    ...usage(facts, source),
    function: order.plan.function,
    abi: order.plan.abi,
  };
}

async function load({ params }: AdapterStep, context: AdapterContext, deps: Deps): Promise<JSONValue> {
  const source = await findModule(params, context, deps);
  const { shape } = await compiledOf(source, policyOf(params, context, deps), context, deps);
  refuseImports(shape);
  const { exports, imports, ...others } = describe(shape);
  return {
    result: true,
    loaded: true,
    exports,
    imports,
    ...others,
    module_digest: source.digest,
  } as unknown as JSONObject;
}

async function stream({ params }: AdapterStep, context: AdapterContext, deps: Deps): Promise<JSONValue> {
  const { order, source } = await instanceOrder(params, context, deps);
  const { chunk_bytes, fuel_per_item, finish } = params;
  if (order.plan.abi === 'wasi-command' && (fuel_per_item ?? finish) !== undefined)
    throw new StepError(
      'INVALID_PARAMS',
      'a WASI command runs once over all items: it takes no fuel_per_item and no finish',
    );
  const chunkBytes = typeof chunk_bytes === 'number' ? chunk_bytes : 64 * 1024;
  const given = params.input ?? null;
  let processed = 0;
  const input = async function* (): AsyncGenerator<CallInput> {
    for await (const value of itemsOf(given, chunkBytes, context)) {
      processed += 1;
      if (processed % 100 === 0) context.progress(null, `${processed} items`);
      yield { kind: 'input', value };
    }
  };
  const { output } = order.plan;
  const isWhole = isBytesInput(given) || order.plan.abi === 'wasi-command';
  const running = deps.sandbox.stream(
    {
      ...order,
      // A piece of a text need not be one.
      plan: { ...order.plan, output: isWhole ? 'bytes' : output },
      chunkBytes,
      ...(typeof fuel_per_item === 'number' ? { fuelPerChunk: BigInt(fuel_per_item) } : {}),
      ...(typeof finish === 'string' ? { finish } : {}),
    },
    input(),
    context.signal,
  );
  const gathered = await (isWhole ? wholeOf(running, output ?? 'auto', context) : listOf(running, context)).catch(
    telling(context),
  );
  const facts = running.facts();
  tell(facts, context);
  return {
    result: gathered,
    results: gathered,
    processed_count: processed,
    ...usage(facts, source),
    function: order.plan.function,
    abi: order.plan.abi,
  };
}

/** What an instance of the step's module is made with. */
async function instanceOrder(
  params: JSONObject,
  context: AdapterContext,
  deps: Deps,
): Promise<{ order: InstanceOrder; source: ModuleSource }> {
  const source = await findModule(params, context, deps);
  const policy = policyOf(params, context, deps);
  const module = await compiledOf(source, policy, context, deps);
  const plan = planOf(params, module);
  if (plan.abi === 'wasi-command' && params.args !== undefined)
    throw new StepError(
      'INVALID_PARAMS',
      'a WASI command takes its arguments as params.wasi.args, and its input as params.input',
    );
  const { fuel_limit: fuelLimit } = params;
  return {
    source,
    order: {
      module,
      policy,
      plan,
      settings: {
        ...(await settingsOf(params, source, context)),
        // What a plug-in gives lies in memory beside its own.
        outputBytesMax:
          plan.abi === 'extism' ? Math.min(outputBytesMax, policy.memoryPagesMax * pageBytes) : outputBytesMax,
      },
      fuel: BigInt(typeof fuelLimit === 'number' ? fuelLimit : fuelDefault),
    },
  };
}

async function compiledOf(
  source: ModuleSource,
  policy: Policy,
  context: AdapterContext,
  { compiled }: Deps,
): Promise<SandboxModule> {
  const module = await compiled.get(source.digest, policy, source.read);
  context.signal.throwIfAborted();
  return module;
}

/** The least of what the step asks for, what it reserves, and what the node allows. */
function policyOf(
  { memory_pages, canonical_nan }: JSONObject,
  { resources }: AdapterContext,
  { pagesMax }: Deps,
): Policy {
  const asked = typeof memory_pages === 'number' ? memory_pages : pagesMax;
  const reserved = resources.ram_mb === undefined ? pagesMax : Math.max(1, Math.floor(resources.ram_mb * pagesPerMb));
  return {
    memoryPagesMax: Math.min(asked, reserved, pagesMax),
    ...policyLimits,
    canonicalNaN: canonical_nan !== false,
  };
}

function planOf({ abi, function: name, signature, output }: JSONObject, { shape }: SandboxModule): CallPlan {
  const stated = typeof abi === 'string' ? (abi as Abi) : undefined;
  const chosen = stated ?? detectAbi(shape);
  if (typeof name !== 'string' && chosen !== 'wasi-command')
    throw new StepError('INVALID_PARAMS', `params.function is needed: what to call. ${functionsOf(shape)}`);
  return {
    abi: chosen,
    abiStated: stated !== undefined,
    function: typeof name === 'string' ? name : '_start',
    signature: typeof signature === 'string' ? parseSignature(signature) : undefined,
    output: (output ?? 'auto') as OutputForm,
  };
}

async function settingsOf(
  { wasi, config, seed }: JSONObject,
  source: ModuleSource,
  context: AdapterContext,
): Promise<Omit<CallSettings, 'outputBytesMax'>> {
  const { args, env, stdin, time_ms } = isObject(wasi) ? wasi : ({} as JSONObject);
  return {
    seed: typeof seed === 'string' ? Buffer.from(seed).toString('hex') : context.seed,
    timeMs: typeof time_ms === 'number' ? time_ms : 0,
    // By convention the first argument is the program's own name.
    argv: [source.name.replace(/^.*\//, ''), ...(Array.isArray(args) ? args.map(String) : [])],
    env: isObject(env) ? (env as Record<string, string>) : {},
    // Without it, a WASI command reads the step's input.
    ...(stdin === undefined ? {} : { stdin: await stdinOf(stdin, context) }),
    config: isObject(config) ? (config as Record<string, string>) : {},
  };
}

const usage = ({ fuelUsed, memoryBytes }: RunFacts, { digest }: ModuleSource): JSONObject => ({
  memory_used_bytes: memoryBytes,
  // A limit is a safe integer, and no more than the limit is used.
  fuel_used: Number(fuelUsed),
  module_digest: digest,
});

/** A module that failed has said why, most likely. */
const telling =
  (context: AdapterContext) =>
  (thrown: unknown): never => {
    if (thrown instanceof SandboxFailure) tell(thrown.facts, context);
    throw thrown;
  };

/** What the module said, for whoever watches. */
function tell({ stderr, logs }: Pick<RunFacts, 'stderr' | 'logs'>, { log }: AdapterContext): void {
  for (const { level, text } of logs) log[level](text);
  for (const line of stderr.split('\n')) if (line !== '') log.info(line);
}
