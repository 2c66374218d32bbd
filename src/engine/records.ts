import { buildBundle } from '../core/receipt/bundle.ts';
import { applyEvent, startRun } from '../core/run/fold.ts';
import { resultOf, type Shown } from '../core/run/result.ts';
import type { RunState } from '../core/run/state.ts';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { type JSONObject, type JSONValue, setOwn } from '../lib/json.ts';
import type { Clock } from '../ports/clock.ts';
import type { Store } from '../ports/store.ts';
import type { Stored } from '../protocol/events.ts';
import type { Bundle } from '../protocol/receipt.ts';
import type { DistributedResult } from '../protocol/result.ts';
import type { CoordinatorConfig } from './config.ts';
import { noSuchRun } from './no-such-run.ts';
import type { Plans } from './submission.ts';
import type { Values } from './values.ts';

const nobody = (): void => undefined;

/** Runs as the journal has them. */
export class Records {
  readonly #config: CoordinatorConfig;
  readonly #deps: { store: Store; values: Values; plans: Plans; clock: Clock };

  constructor(config: CoordinatorConfig, deps: { store: Store; values: Values; plans: Plans; clock: Clock }) {
    this.#config = config;
    this.#deps = deps;
  }

  /** Folds a run's journal. @throws JSONFlowError NOT_FOUND, STORE_CORRUPT */
  async load(runId: string): Promise<RunState> {
    const [started, ...rest] = await this.#deps.store.read(runId);
    if (started === undefined) throw noSuchRun(runId);
    if (started.kind !== 'run.started')
      throw new JSONFlowError('STORE_CORRUPT', `the journal of run ${runId} does not begin with its start`, {
        hint: 'Restore the data directory from a backup.',
      });
    const { plans } = this.#deps;
    const plan = await plans.prepared(plans.trusted(started.workflow, started.workflow_digest));
    const state = startRun(runId, started, plan, nobody);
    try {
      for (const event of rest) applyEvent(state, event, nobody);
    } catch (cause) {
      throw new JSONFlowError('STORE_CORRUPT', `the journal of run ${runId} makes no sense: ${messageOf(cause)}`, {
        hint: 'Restore the data directory from a backup.',
        cause,
      });
    }
    return state;
  }

  /** @throws JSONFlowError NOT_FOUND */
  async result(runId: string): Promise<DistributedResult> {
    return this.resultOf(await this.load(runId));
  }

  async resultOf(state: RunState): Promise<DistributedResult> {
    return resultOf(state, await this.#shown(state), this.#deps.clock.now());
  }

  /** @throws JSONFlowError NOT_FOUND, CONFLICT where the run has not ended */
  async bundle(runId: string): Promise<Bundle> {
    const state = await this.load(runId);
    if (state.ended === undefined)
      throw new JSONFlowError('CONFLICT', `run ${runId} has not ended yet`, {
        hint: 'Wait until it has, then ask for its bundle.',
        retriable: true,
      });
    const shown = await this.#shown(state);
    const receipts = state.receipts.map(({ envelope }) => envelope);
    const signers = new Set(
      [...receipts, state.ended.run_statement].flatMap(({ signatures }) => signatures.map(({ keyid }) => keyid)),
    );
    const outputs: Bundle['outputs'] = {};
    for (const { index, step } of state.plan.steps) {
      const record = state.steps[index]?.state;
      if (record?.kind !== 'succeeded') continue;
      const { value, ref } = shown(record.output);
      setOwn(outputs, step.id, ref === undefined ? { value } : ref);
    }
    return buildBundle({
      run_id: runId,
      workflow: state.plan.workflow as unknown as JSONObject,
      input: await this.#deps.values.load(state.started.input),
      receipts,
      run_statement: state.ended.run_statement,
      outputs,
      keys: (await this.#deps.store.enrolled()).filter(({ key_id }) => signers.has(key_id)),
    });
  }

  /** Loads large outputs, up to a total; beyond it they are shown by their digest. */
  async #shown(state: RunState): Promise<Shown> {
    const loaded = new Map<Stored, JSONValue>();
    let left = this.#config.resultBytesMax;
    for (const { state: step } of state.steps) {
      if (step.kind !== 'succeeded' || !('digest' in step.output) || step.output.bytes > left) continue;
      left -= step.output.bytes;
      loaded.set(step.output, await this.#deps.values.load(step.output));
    }
    return (stored) => {
      if ('value' in stored) return stored;
      const value = loaded.get(stored);
      return value === undefined ? { value: null, ref: { digest: stored.digest, bytes: stored.bytes } } : { value };
    };
  }
}
