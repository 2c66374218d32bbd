// Runs steps of the adapter as a node would, with the end of each attempt in the hands of the test.
import { createMqAdapter } from '../../../src/adapters/mq/adapter.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import type { AdapterContext } from '../../../src/ports/adapter.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { egress } from './brokers.ts';

export interface Attempt {
  output: JSONObject;
  /** The receipt is durable. */
  commit(): Promise<void>;
  /** The attempt does not count. */
  fail(): Promise<void>;
}

export interface Steps {
  run(type: string, params: JSONObject, context?: Partial<AdapterContext>): Promise<JSONObject>;
  attempt(type: string, params: JSONObject, context?: Partial<AdapterContext>): Promise<Attempt>;
  close(): Promise<void>;
}

export function stepsOf(adapter = createMqAdapter({ egress })): Steps {
  const registry = new AdapterRegistry();
  registry.register(adapter);
  const attempt: Steps['attempt'] = async (type, params, context = {}) => {
    const commits: (() => unknown)[] = [];
    const failures: (() => unknown)[] = [];
    const step = { id: 'step', type, params };
    const output = await registry.run(step, {
      ...contextFor(step),
      afterCommit(fn, otherwise) {
        commits.push(fn);
        if (otherwise !== undefined) failures.push(otherwise);
      },
      ...context,
    });
    const all = async (fns: (() => unknown)[]): Promise<void> => {
      for (const fn of fns) await fn();
    };
    return { output: output as JSONObject, commit: () => all(commits), fail: () => all(failures) };
  };
  return {
    attempt,
    async run(type, params, context) {
      const { output, commit } = await attempt(type, params, context);
      await commit();
      return output;
    },
    close: () => registry.close(),
  };
}
