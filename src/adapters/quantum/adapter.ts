import { availableParallelism } from 'node:os';
import { verdictOf } from '../../kit/verdict.ts';
import { StepError } from '../../lib/errors.ts';
import type { JSONValue } from '../../lib/json.ts';
import type { Adapter, AdapterVerdict } from '../../ports/adapter.ts';
import type { Egress } from '../../ports/egress.ts';
import { backendOf, backendUsual } from './backends.ts';
import type { Means } from './perform.ts';
import { stepTypes } from './schemas.ts';
import { Threads } from './threads/threads.ts';

const version = '1.0.0';
const qubitsMaxDefault = 32;
const threadsMax = 4;

/** All that reads and runs circuits is loaded when a step first needs it: most nodes start without. */
const loaded = () => import('./perform.ts');

export interface QuantumOptions {
  /** Where circuits run whose step does not say: a simulator or hardware. Default qasm_simulator. */
  backend?: string;
  /** Qubits that the node offers; no circuit may have more. Default 32. */
  max_qubits?: number;
  /** Access to hardware for steps that bring no token of their own. */
  token?: string;
  provider?: 'ionq' | 'ibm';
  /** ibm: CRN of the service instance. */
  instance?: string;
  device?: string;
}

export interface QuantumDeps {
  egress: Egress;
}

/** The adapter `quantum`: `quantum_circuit`, `quantum_sample` and `quantum_optimize`. Params: docs/adapters/quantum.md. */
export function createQuantumAdapter(deps: QuantumDeps, options: QuantumOptions = {}): Required<Omit<Adapter, 'lint'>> {
  const { backend: usual = backendUsual, max_qubits: qubitsMax = qubitsMaxDefault } = options;
  backendOf({}, usual);
  const threads = new Threads(Math.max(1, Math.min(threadsMax, availableParallelism())));
  const means: Means = { egress: deps.egress, threads, usual, qubitsMax, hardware: options };
  return {
    getManifest: () => ({ adapter_id: 'quantum', version, step_types: stepTypes, resources: { qubits: qubitsMax } }),
    requirements: async (step) => (await import('./needs.ts')).needsOf(step, usual),
    async validate(step): Promise<AdapterVerdict> {
      const { checkParams } = await loaded();
      return verdictOf(() => void checkParams(step, usual));
    },
    async execute(step, context): Promise<JSONValue> {
      if (!stepTypes.some(({ type }) => type === step.type))
        throw new StepError('INVALID_PARAMS', `the adapter quantum has no step type ${JSON.stringify(step.type)}`);
      const { perform } = await loaded();
      return perform(step, context, means);
    },
    healthCheck: () => ({
      status: 'ok',
      timestamp: new Date().toISOString(),
      backend: usual,
      max_qubits: qubitsMax,
      step_types: stepTypes.map(({ type }) => type),
    }),
    close: () => threads.close(),
  };
}
