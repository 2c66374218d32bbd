import type { JSONObject } from '../../../lib/json.ts';
import { type TensorForm, tensorForms } from '../tensor/to-json.ts';
import type { Postprocess } from './postprocess.ts';
import type { Preprocess } from './preprocess.ts';

/** Params of a step, beside its model and its input; the schema has checked them. */
export interface InferOptions {
  columns: readonly string[] | undefined;
  batchSize: number | undefined;
  /** Names of the outputs that are wanted; all where it is empty. The first is the main one. */
  outputs: string[];
  form: TensorForm;
  preprocess: Preprocess | undefined;
  postprocess: Postprocess;
  /** Undefined: where the model's axes are named as if it could be. */
  dynamicBatching: boolean | undefined;
}

export function optionsOf(params: JSONObject): InferOptions {
  const { columns, batch_size, outputs, output_form, preprocess, postprocess, dynamic_batching } = params;
  return {
    columns: columns as string[] | undefined,
    batchSize: batch_size as number | undefined,
    outputs: (outputs as string[] | undefined) ?? [],
    form: (output_form as TensorForm | undefined) ?? tensorForms[0],
    preprocess: preprocess as Preprocess | undefined,
    postprocess: (postprocess as Postprocess | undefined) ?? {},
    dynamicBatching: dynamic_batching as boolean | undefined,
  };
}
