import { StepError } from '../../../lib/errors.ts';
import { type ProviderConfig, type ProviderName, providerNames } from './provider.ts';

/** What a step, or the node, says of access to hardware. */
export type HardwareSettings = { readonly [K in keyof ProviderConfig]?: ProviderConfig[K] | undefined };

/** Those that the settings have a token for. */
export const availableProviders = (...settings: readonly HardwareSettings[]): ProviderName[] =>
  providerNames.filter((name) => settings.some(({ provider, token }) => provider === name && (token ?? '') !== ''));

/**
 * The provider that a step runs on. What the step says of it goes before what the node is set up with, but a token of the node goes to
 * nowhere that a step names.
 * @param backend `ionq`, `ibm`, or `real_quantum_hardware` for the one that is set up
 * @throws StepError QUANTUM_NO_PROVIDER where there is none; INVALID_PARAMS
 */
export function chooseProvider(backend: string, step: HardwareSettings, node: HardwareSettings): ProviderConfig {
  const named = providerNames.find((name) => name === backend);
  const provider = named ?? step.provider ?? availableProviders(node)[0];
  if (provider === undefined)
    throw new StepError(
      'QUANTUM_NO_PROVIDER',
      `no quantum hardware is set up on this node: give params.provider (${providerNames.join(' or ')}) and params.token ("vault://…"), set up the node's adapter, or choose the backend simulator`,
    );
  if (step.provider !== undefined && step.provider !== provider)
    throw new StepError('INVALID_PARAMS', `params.backend is ${backend}, but params.provider is ${step.provider}`);
  const usual = node.provider === provider ? node : {};
  const token = step.token ?? usual.token ?? '';
  if (token === '')
    throw new StepError(
      'QUANTUM_NO_PROVIDER',
      `there is no token for ${provider}: give params.token ("vault://…"), or set up the node's adapter`,
    );
  if (step.token === undefined && (step.baseUrl !== undefined || step.iamUrl !== undefined))
    throw new StepError(
      'INVALID_PARAMS',
      'params.base_url needs a params.token: that of the node is not sent elsewhere',
    );
  return {
    provider,
    token,
    device: step.device ?? usual.device,
    instance: step.instance ?? usual.instance,
    baseUrl: step.baseUrl ?? (step.token === undefined ? usual.baseUrl : undefined),
    iamUrl: step.iamUrl ?? (step.token === undefined ? usual.iamUrl : undefined),
  };
}
