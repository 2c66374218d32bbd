import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Samples } from './job.ts';
import { encodeLabels } from './labels.ts';
import { readSamples } from './read-samples.ts';
import type { Columns, RawSamples } from './sample-collector.ts';
import type { TrainedModel } from './trained-model.ts';

/** What params say of rows with names. */
export const columnsOf = ({ label_column: label, feature_columns: features }: JSONObject): Columns => ({
  label: typeof label === 'string' ? label : undefined,
  features: Array.isArray(features) ? features.map(String) : undefined,
});

/** @throws StepError INVALID_PARAMS where the net takes others */
export function checkWidth({ count, x, shape }: RawSamples, input: readonly number[], path: string): void {
  const wanted = input.reduce((product, length) => product * length, 1);
  if (x.length / count !== wanted)
    throw new StepError(
      'INVALID_PARAMS',
      `a sample of ${path} has the shape [${shape.join(', ')}], but the net takes [${input.join(', ')}]`,
    );
}

/** Samples for a net that is there already. @param path of the param, for errors */
export async function samplesFor(
  data: JSONValue,
  path: string,
  params: JSONObject,
  { net, classes }: Pick<TrainedModel, 'net' | 'classes'>,
  context: AdapterContext,
): Promise<Samples> {
  const raw = await readSamples(data, path, columnsOf(params), context);
  checkWidth(raw, net.input, path);
  return encodeLabels(raw, { outputs: net.outputs, classes }, net.loss, path);
}
