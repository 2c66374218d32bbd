import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';

export const deviceNames = ['auto', 'cpu', 'gpu', 'cuda', 'webgpu'] as const;

/** GPUs that ONNX Runtime may use, the better one first. */
const gpus = ['cuda', 'webgpu'] as const;

/**
 * Where a step's model may run: one of these, in this order. A step that reserves a GPU never gets anything else.
 * @throws StepError INVALID_PARAMS where the step reserves a GPU and wants the CPU
 */
export function devicesOf({ device = 'auto' }: JSONObject, { resources }: Pick<AdapterContext, 'resources'>): string[] {
  const reserved = (resources.gpu ?? 0) > 0;
  if (device === 'cpu' && reserved)
    throw new StepError('INVALID_PARAMS', 'params.device is cpu, and the step reserves a GPU: leave one of them out');
  if (device === 'cpu' || (device === 'auto' && !reserved)) return ['cpu'];
  return device === 'auto' || device === 'gpu' ? [...gpus] : [String(device)];
}
