import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { devicesOf } from '../infer/device.ts';
import type { Processes } from '../process/processes.ts';
import type { EpochMetrics, EvaluateJob, TrainEvent, TrainJob } from './job.ts';

/** Calls a process, on the first device that there is. */
export async function call<T>(
  request: { method: string; args: TrainJob | EvaluateJob },
  params: JSONObject,
  context: AdapterContext,
  { processes }: { processes: Processes },
  onEvent: (event: TrainEvent) => void = () => undefined,
): Promise<{ answer: T; device: string }> {
  const devices = devicesOf(params, context);
  const { signal, resources } = context;
  const memory = resources.ram_mb === undefined ? {} : { memoryMb: resources.ram_mb };
  let missing: unknown;
  for (const device of devices) {
    try {
      const hooks = { signal, ...memory, onEvent: (event: unknown) => onEvent(event as TrainEvent) };
      const args = { ...request.args, device };
      const answer = (await processes.call('train', device, { method: request.method, args }, hooks)) as T;
      if (device !== 'cpu') context.varies();
      return { answer, device };
    } catch (thrown) {
      if (!(thrown instanceof StepError) || thrown.code !== 'ML_NO_GPU') throw thrown;
      missing = thrown;
    }
  }
  throw missing;
}

/** Loss and metric under the names that outputs have. */
export function named(
  { loss, metric, val_loss, val_metric }: Omit<EpochMetrics, 'epoch'>,
  name: string,
): Record<string, number> {
  return {
    loss,
    [name]: metric,
    ...(val_loss === undefined ? {} : { val_loss }),
    ...(val_metric === undefined ? {} : { [`val_${name}`]: val_metric }),
  };
}
