import { resultRootOf } from '../src/core/receipt/roots.ts';
import { digestOf } from '../src/lib/canonical.ts';
import type { JSONObject, JSONValue } from '../src/lib/json.ts';
import type { Workflow } from '../src/protocol/workflow.ts';
import { outputFor } from './adapter.ts';
import type { SeededRandom } from './random.ts';

export interface Job {
  name: string;
  workflow: Workflow;
  input: JSONValue;
  key: string | undefined;
  /** What a run of it gives where nothing fails; undefined where that is a matter of chance. */
  resultRoot: string | undefined;
  /** Nothing in it can fail of its own accord. */
  sound: boolean;
  /** A step that always fails is in it. */
  broken: boolean;
}

export interface Mix {
  /** Chance per step. */
  dice: number;
  rare: number;
  fails: number;
  broken: number;
  stubborn: number;
  large: number;
  timeout: number;
  stepsMax: number;
  nodes: readonly string[];
}

type Step = Workflow['steps'][number];

/** A random workflow, with what it must come to. */
export function randomJob(random: SeededRandom, name: string, mix: Mix): Job {
  const count = random.int(1, mix.stepsMax);
  const shape = random.pick(['chain', 'wide', 'mixed'] as const);
  const steps: Step[] = [];
  for (let index = 0; index < count; index++) steps.push(randomStep(random, index, shape, mix));
  const policy = {
    retry_failed_steps: random.chance(0.7),
    max_retries: random.int(0, 4),
    backoff_ms: random.int(0, 200),
    backoff_max_ms: 1_000,
    failover_strategy: random.pick(['reassign', 'checkpoint'] as const),
    on_step_failure: random.pick(['stop', 'continue'] as const),
    ...(random.chance(0.5)
      ? { checkpoint_frequency: random.pick(['per_step', 'on_change', random.int(1, 50)] as const) }
      : {}),
  };
  const workflow: Workflow = {
    workflow: name,
    steps,
    ...(random.chance(0.85) ? { fault_tolerance: policy } : {}),
  };
  const input = { seed: random.int(0, 1e6) };
  const behaviours = steps.map(({ params }) => params as JSONObject);
  const deterministic = steps.every(({ type }) => type !== 'sim_dice');
  const timed = steps.some(({ resource_requirements }) => resource_requirements?.timeout_ms !== undefined);
  return {
    name,
    workflow,
    input,
    key: random.chance(0.7) ? `key ${name}` : undefined,
    resultRoot: deterministic ? expectedRoot(steps, input) : undefined,
    sound: !timed && behaviours.every(({ fails, broken }) => fails === 0 && broken === false),
    broken: behaviours.some(({ broken }) => broken === true),
  };
}

function randomStep(random: SeededRandom, index: number, shape: 'chain' | 'wide' | 'mixed', mix: Mix): Step {
  const parents = parentsOf(random, index, shape);
  const from: JSONObject = {};
  for (const parent of parents)
    if (random.chance(0.8)) from[`p${parent}`] = random.chance(0.7) ? `$s${parent}.value` : `$s${parent}`;
  const type = random.chance(mix.rare) ? 'sim_rare' : random.chance(mix.dice) ? 'sim_dice' : 'sim_work';
  const step: Step = {
    id: `s${index}`,
    type,
    params: {
      salt: random.int(0, 1e6),
      phase_ms: Math.round(random.skewed(2, 300)),
      phases: random.chance(0.3) ? random.int(2, 5) : 1,
      fails: random.chance(mix.fails) ? 0.4 : 0,
      broken: random.chance(mix.broken),
      stubborn: random.chance(mix.stubborn),
      large: random.chance(mix.large),
      seed: '$input.seed',
      from,
    },
  };
  if (parents.length > 0) step.parent_step_ids = parents.map((parent) => `s${parent}`);
  const requirements = {
    ...(random.chance(0.4) ? { cpu_cores: random.int(1, 2) } : {}),
    ...(random.chance(0.2) ? { gpu: true } : {}),
    ...(random.chance(mix.timeout) ? { timeout_ms: random.int(100, 1_500) } : {}),
  };
  if (Object.keys(requirements).length > 0) step.resource_requirements = requirements;
  if (random.chance(0.3))
    step.node_preference = random.pick([
      'high_compute',
      'low_latency',
      'zone=a',
      'rare_capable',
      random.pick(mix.nodes),
      { require_labels: { zone: 'a' } },
    ]);
  return step;
}

function parentsOf(random: SeededRandom, index: number, shape: 'chain' | 'wide' | 'mixed'): number[] {
  if (index === 0) return [];
  if (shape === 'chain') return [index - 1];
  if (shape === 'wide') return random.chance(0.2) ? [0] : [];
  const parents = new Set<number>();
  for (let count = random.int(0, 3); count > 0; count--) parents.add(random.int(0, index - 1));
  return [...parents].sort((a, b) => a - b);
}

/** Computes the run by hand: steps stand after their parents. */
function expectedRoot(steps: readonly Step[], input: { seed: number }): string {
  const outputs = new Map<string, JSONObject>();
  const leaves = steps.map((step) => {
    const { from, ...rest } = step.params as { from: Record<string, string> } & JSONObject;
    const resolved = Object.entries(from).map(([name, reference]): [string, JSONValue] => {
      const [id = '', field] = reference.slice(1).split('.');
      const output = outputs.get(id) ?? {};
      return [name, field === undefined ? output : (output[field] ?? null)];
    });
    const params = { ...rest, seed: input.seed, from: Object.fromEntries(resolved) };
    const output = outputFor(params);
    outputs.set(step.id, output);
    return {
      step: step.id,
      step_digest: digestOf(step),
      input_digest: digestOf(params),
      output_digest: digestOf(output),
    };
  });
  return resultRootOf(leaves);
}
