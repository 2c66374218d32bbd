import type { Circuit } from '../../../../src/adapters/quantum/circuit/circuit.ts';
import type { ProviderConfig } from '../../../../src/adapters/quantum/hardware/provider.ts';
import { type HardwareOptions, runOnHardware } from '../../../../src/adapters/quantum/hardware/run.ts';
import type { JSONValue } from '../../../../src/lib/json.ts';
import { loopback } from '../../network/support.ts';
import type { ContractServer } from './contract.ts';
import { type IbmServer, ibmCrn, ibmKey, ibmServer } from './ibm-server.ts';
import { ionqKey, ionqServer } from './ionq-server.ts';

/** Waits of milliseconds instead of seconds. */
export const timing = { pollMs: 1, pollMaxMs: 4, retryMs: 1, timeoutMs: 2000 };

export const optionsFor = (others: Partial<HardwareOptions> = {}): HardwareOptions => ({
  egress: loopback(),
  reach: 'operator',
  ...timing,
  ...others,
});

export interface Contract {
  name: 'ionq' | 'ibm';
  open(): Promise<ContractServer>;
  config(server: ContractServer): ProviderConfig;
}

/** Both providers, each with its server. */
export const contracts: readonly Contract[] = [
  {
    name: 'ionq',
    open: ionqServer,
    config: ({ url }) => ({ provider: 'ionq', token: ionqKey, device: 'qpu.forte-1', baseUrl: url }),
  },
  {
    name: 'ibm',
    open: ibmServer,
    config: (server) => ({
      provider: 'ibm',
      token: ibmKey,
      device: 'ibm_today',
      instance: ibmCrn,
      baseUrl: server.url,
      iamUrl: (server as IbmServer).iamUrl,
    }),
  },
];

export interface Step {
  signal?: AbortSignal;
  key?: string;
  last?: JSONValue | undefined;
  shots?: number;
  options?: Partial<HardwareOptions>;
}

/** Runs a circuit as a step would; collects what it reports and saves. */
export function runStep(config: ProviderConfig, circuit: Circuit, step: Step = {}) {
  const notes: string[] = [];
  const saved: JSONValue[] = [];
  const outcome = runOnHardware(
    { config, circuit, shots: step.shots ?? 400 },
    {
      signal: step.signal ?? new AbortController().signal,
      idempotency_key: step.key ?? 'run-1/step-1',
      last_checkpoint: step.last,
      checkpoint: async (state) => void saved.push(state),
      progress: (_, note) => void notes.push(note ?? ''),
    },
    optionsFor(step.options),
  );
  return { outcome, notes, saved };
}

export const submissions = ({ calls }: ContractServer): number => calls.filter((call) => call === 'POST /jobs').length;
