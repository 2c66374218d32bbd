import { canonicalize } from '../src/lib/canonical.ts';
import { StepError } from '../src/lib/errors.ts';
import { sha256 } from '../src/lib/hash.ts';
import type { JSONObject, JSONValue } from '../src/lib/json.ts';
import type { Adapter, AdapterContext, AdapterStep } from '../src/ports/adapter.ts';
import { AdapterRegistry } from '../src/worker/registry.ts';
import type { ProcessClock } from './clock.ts';
import type { SeededRandom } from './random.ts';

/** How a simulated step behaves; it stands in the step's params, so that every attempt on every node behaves alike. */
export interface Behaviour extends JSONObject {
  salt: number;
  /** Virtual ms of each phase; a checkpoint is offered after each. */
  phase_ms: number;
  phases: number;
  /** Chance that an attempt fails and may be tried again. */
  fails: number;
  /** Every attempt fails for good. */
  broken: boolean;
  /** Does not look at the signal. */
  stubborn: boolean;
  /** The output is above the limit for values in line. */
  large: boolean;
}

/** The process in which an adapter runs, and who watches it. */
export interface AdapterHost {
  readonly node: string;
  readonly clock: ProcessClock;
  readonly random: SeededRandom;
  started(context: AdapterContext): void;
  checkpointed(context: AdapterContext, phase: number): void;
  committed(context: AdapterContext): void;
}

/** A place for an adapter that outlives the processes that use it: compiling step types anew for each would take most of the time. */
export class AdapterSite {
  host: AdapterHost | undefined;
  /** With the step types that every node has, and with the rare one too. */
  readonly basic: AdapterRegistry;
  readonly full: AdapterRegistry;

  constructor() {
    const run = (step: AdapterStep, context: AdapterContext) => {
      if (this.host === undefined) throw new RangeError('a step runs where no process does');
      return perform(step, context, this.host);
    };
    const common = adapter('sim', ['sim_work', 'sim_dice'], run);
    this.basic = new AdapterRegistry();
    this.basic.register(common);
    this.full = new AdapterRegistry();
    this.full.register(common);
    this.full.register(adapter('rare', ['sim_rare'], run));
  }
}

function adapter(id: string, types: string[], execute: Adapter['execute']): Adapter {
  return {
    getManifest: () => ({
      adapter_id: id,
      version: '1.0.0',
      step_types: types.map((type) => ({ type, deterministic: type !== 'sim_dice' })),
    }),
    execute,
    healthCheck: () => ({ status: 'ok', timestamp: 0 }),
  };
}

/** Of the length of a large output, in characters. */
const largeLength = 270_000;

/** What a deterministic step gives for these params: the oracle uses the same rule. */
export function outputFor(params: JSONObject): JSONObject {
  const value = sha256(canonicalize(params)).slice(0, 16);
  return params.large === true ? { value, bulk: value.repeat(largeLength / 16) } : { value };
}

async function perform(step: AdapterStep, context: AdapterContext, host: AdapterHost): Promise<JSONValue> {
  const { phase_ms, phases, fails, broken, stubborn } = step.params as Behaviour;
  host.started(context);
  context.afterCommit(() => host.committed(context));
  const from = typeof context.last_checkpoint === 'number' ? context.last_checkpoint : 0;
  for (let phase = from + 1; phase <= phases; phase++) {
    await pause(phase_ms, context.signal, stubborn, host);
    if (fails > 0 && host.random.chance(fails / phases))
      throw new StepError('SIM_FAILED', 'the simulated step fails', { retryable: true });
    if (phase < phases) await save(phase, context, host);
  }
  if (broken) throw new StepError('SIM_BROKEN', 'the simulated step always fails');
  const output = outputFor(step.params);
  return step.type === 'sim_dice' ? { ...output, dice: host.random.int(0, 1e9) } : output;
}

async function save(phase: number, context: AdapterContext, host: AdapterHost): Promise<void> {
  const saved = context.checkpoint(phase).then(() => host.checkpointed(context, phase));
  // Some adapters go on while the state is being saved.
  if (host.random.chance(0.8)) await saved;
  else saved.catch(() => undefined);
}

function pause(ms: number, signal: AbortSignal, stubborn: boolean, host: AdapterHost): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = host.clock.timer(ms * (0.5 + host.random.fraction()), resolve);
    if (stubborn) return;
    const abort = () => {
      stop();
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
