import { triggerIdOf } from '../core/workflow/triggers.ts';
import { asError, JSONFlowError } from '../lib/errors.ts';
import { isoTime } from '../lib/time.ts';
import type { MessageSource } from '../ports/message-source.ts';
import type { Deployment, Store } from '../ports/store.ts';
import type { MqTrigger } from '../protocol/workflow.ts';
import type { DeploymentStatus } from './api.ts';
import { Slots } from './slots.ts';
import { concurrentRunsDefault, Trigger, type TriggerDeps } from './trigger.ts';

export interface DeploymentsDeps extends Omit<TriggerDeps, 'store' | 'source' | 'slots'> {
  store: Store;
  /** By type of trigger. */
  sources: Readonly<Partial<Record<MqTrigger['type'], MessageSource>>>;
}

interface Live {
  deployment: Deployment;
  triggers: Trigger[];
}

/** Deployments that one coordinator keeps. */
const deploymentsMax = 1_000;

/** The workflows whose triggers start runs here. */
export class Deployments {
  readonly #deps: DeploymentsDeps;
  readonly #live = new Map<string, Live>();
  /** By deployment and trigger: runs of an earlier deployment, or of before a restart, count as well. */
  readonly #slots = new Map<string, Slots>();
  #unreadable: JSONFlowError | undefined;
  /** Changes come one after the other, so that of two of one name the later one stays. */
  #turn: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(deps: DeploymentsDeps) {
    this.#deps = deps;
  }

  /** Why what was deployed can't be read. */
  get unreadable(): JSONFlowError | undefined {
    return this.#unreadable;
  }

  /** Starts the triggers of all that was deployed before. Damage there must not stop the runs. */
  async recover(): Promise<void> {
    const { store } = this.#deps;
    const deployments = await store.deployments().catch((thrown: unknown) => {
      this.#unreadable = asError(thrown);
      return [];
    });
    if (deployments.length === 0) return;
    for (const runId of await store.unfinished()) await this.#occupy(runId);
    for (const deployment of deployments) this.#begin(deployment);
  }

  /** A run that a trigger started before takes one of its places. */
  async #occupy(runId: string): Promise<void> {
    const [started] = await this.#deps.store.read(runId, 0, 1).catch(() => []);
    if (started?.kind !== 'run.started' || started.trigger === undefined) return;
    const ending = this.#deps.ending(runId);
    if (ending === undefined) return;
    const slots = this.#slotsOf({ tenant_id: started.tenant_id, name: started.workflow.workflow }, started.trigger);
    const done = slots.force();
    void ending.then(done, done);
  }

  #slotsOf(deployment: Pick<Deployment, 'tenant_id' | 'name'>, trigger: string): Slots {
    const key = JSON.stringify([deployment.tenant_id, deployment.name, trigger]);
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slots = new Slots(concurrentRunsDefault);
    this.#slots.set(key, slots);
    return slots;
  }

  /** Resolves when the deployment is durable and its triggers have begun. @throws JSONFlowError INVALID_INPUT, NOT_AVAILABLE_YET, LIMIT_EXCEEDED */
  deploy(deployment: Deployment): Promise<DeploymentStatus> {
    const { triggers = [] } = deployment.workflow;
    if (triggers.length === 0)
      throw new JSONFlowError(
        'INVALID_INPUT',
        `the workflow ${deployment.name} has no triggers: nothing would ever start it`,
        {
          hint: 'Add "triggers", or run it with jsonflow run.',
        },
      );
    for (const { type } of triggers)
      if (this.#deps.sources[type] === undefined)
        throw new JSONFlowError('INVALID_INPUT', `this coordinator has no adapter for triggers of type ${type}`, {
          hint: 'Start it with that adapter (--adapters).',
        });
    return this.#inTurn(async () => {
      const name = keyOf(deployment);
      if (!this.#live.has(name) && this.#live.size >= deploymentsMax)
        throw new JSONFlowError('LIMIT_EXCEEDED', `${deploymentsMax} workflows are deployed already`, {
          hint: 'Remove some with jsonflow undeploy.',
        });
      await this.#deps.store.deploy(deployment);
      // The new triggers begin when the old ones have let go, so that no message is with both.
      await this.#end(name);
      return statusOf(this.#begin(deployment));
    });
  }

  /** Resolves when it is gone: its triggers have let go of their messages; runs go on. False where there is none. */
  undeploy(tenantId: string | null, name: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const existed = await this.#deps.store.undeploy(tenantId, name);
      await this.#end(keyOf({ tenant_id: tenantId, name }));
      return existed;
    });
  }

  list(): DeploymentStatus[] {
    return [...this.#live.values()].map(statusOf);
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#live.keys()].map((name) => this.#end(name)));
    await Promise.all(Object.values(this.#deps.sources).map((source) => source.close()));
  }

  #begin(deployment: Deployment): Live {
    const { triggers = [] } = deployment.workflow;
    const live: Live = {
      deployment,
      triggers: triggers.map((trigger) => {
        const slots = this.#slotsOf(deployment, triggerIdOf(trigger));
        slots.resize(trigger.max_concurrent_runs ?? concurrentRunsDefault);
        return new Trigger(deployment, trigger, { ...this.#deps, source: this.#deps.sources[trigger.type], slots });
      }),
    };
    this.#live.set(keyOf(deployment), live);
    if (this.#closing === undefined) for (const trigger of live.triggers) trigger.start();
    return live;
  }

  async #end(name: string): Promise<void> {
    const live = this.#live.get(name);
    this.#live.delete(name);
    await Promise.all(live?.triggers.map((trigger) => trigger.close()) ?? []);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(change);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

const keyOf = ({ tenant_id, name }: Pick<Deployment, 'tenant_id' | 'name'>): string =>
  JSON.stringify([tenant_id, name]);

const statusOf = ({ deployment, triggers }: Live): DeploymentStatus => ({
  workflow: deployment.name,
  tenant_id: deployment.tenant_id,
  workflow_digest: deployment.workflow_digest,
  deployed_at: isoTime(deployment.deployed_at),
  triggers: triggers.map(({ status }) => status),
});
