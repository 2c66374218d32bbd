import { reachOf } from '../../../kit/reach.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../../../ports/adapter.ts';
import type { Egress } from '../../../ports/egress.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { chooseProvider, type HardwareSettings } from '../hardware/choose-provider.ts';
import type { ProviderName, Transpile } from '../hardware/provider.ts';
import { runOnHardware } from '../hardware/run.ts';
import { circuitFacts, shares } from '../results.ts';
import type { Transpiled } from '../transpile/transpile.ts';
import { exportsOf } from './circuit.ts';
import { shotsOf } from './request.ts';
import { checkSamples, inOrder } from './sample.ts';

/** What a device can't do, or does by itself. */
const simulatorParams = ['noise', 'precision', 'mode', 'bond_dimension', 'truncation', 'statevector', 'observables'];

export interface DeviceDeps {
  egress: Egress;
  /** Writes a circuit for a device. */
  transpile: Transpile;
  /** What the node is set up with. */
  settings: HardwareSettings;
}

/** `quantum_circuit` and `quantum_sample` on hardware. No two runs give the same, and no receipt says so. */
export async function runOnDevice(
  { type, params }: AdapterStep,
  circuit: Circuit,
  context: AdapterContext,
  backend: string,
  { egress, settings, transpile }: DeviceDeps,
): Promise<JSONObject> {
  const foreign = simulatorParams.find((name) => params[name] !== undefined);
  if (foreign !== undefined)
    throw new StepError(
      'INVALID_PARAMS',
      `params.${foreign} is for simulators, and ${backend} is hardware: leave it out`,
    );
  const shots = shotsOf(params);
  if (type === 'quantum_sample') checkSamples(shots);
  context.varies();
  const config = chooseProvider(backend, settingsOf(params), settings);
  const { counts, probabilities, job, transpiled } = await runOnHardware({ config, circuit, shots }, context, {
    egress,
    reach: reachOf(context),
    transpile,
  });
  return {
    counts: { ...counts },
    ...(type === 'quantum_sample'
      ? { samples: inOrder(counts, context.seed), distribution: shares(counts), total_samples: shots }
      : { probabilities: { ...(probabilities ?? shares(counts)) } }),
    ...circuitFacts(circuit),
    shots,
    job: { ...job },
    ...(transpiled === undefined ? {} : { transpiled: transpiledJSON(transpiled.facts) }),
    backend_info: { name: backend, provider: job.provider, device: job.device },
    ...exportsOf(params.export, circuit),
  };
}

/** How the circuit was written for the device. */
const transpiledJSON = ({ depthBefore, depth, gatesBefore, gates, swaps }: Transpiled['facts']): JSONObject => ({
  depth_before: depthBefore,
  depth,
  gates_before: { ...gatesBefore },
  gates: { ...gates },
  swaps,
});

/** What the step says of access to hardware. */
function settingsOf({ provider, token, device, instance, base_url, iam_url }: JSONObject): HardwareSettings {
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return {
    provider: text(provider) as ProviderName | undefined,
    token: text(token),
    device: text(device),
    instance: text(instance),
    baseUrl: text(base_url),
    iamUrl: text(iam_url),
  };
}
