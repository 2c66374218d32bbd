// What the command line needs of the ML adapter.
import { basename, dirname } from 'node:path';
import { type RunningModel, runModelServer } from '../adapters/ml/remote/serve-model.ts';
import { createEgress } from '../egress/egress.ts';
import type { EgressRules } from '../egress/policy.ts';
import { JSONFlowError, StepError } from '../lib/errors.ts';
import { productVersion } from '../protocol/version.ts';
import { AssetFolders } from './asset-folders.ts';

export interface ModelServerOptions {
  /** A file, or a URL. */
  model: string;
  name?: string;
  host: string;
  port: number;
  device?: string;
  framework?: string;
  timeoutMs: number;
  egress?: EgressRules;
}

/** Serves a model by the Open Inference Protocol v2. @throws JSONFlowError INVALID_INPUT where it can't be had or run */
export async function startModelServer({ model, name, egress, ...options }: ModelServerOptions): Promise<RunningModel> {
  const isUrl = /^https?:\/\//i.test(model);
  const file = isUrl ? new URL(model).pathname : model;
  try {
    return await runModelServer({
      ...options,
      model: isUrl ? model : basename(model),
      name: name ?? basename(file).replace(/\.(?:onnx|json)$/i, ''),
      version: productVersion,
      egress: createEgress(egress),
      assets: new AssetFolders(isUrl ? [] : [dirname(model)]),
    });
  } catch (thrown) {
    if (!(thrown instanceof StepError)) throw thrown;
    throw new JSONFlowError('INVALID_INPUT', `${model} can't be served: ${thrown.message}`, {
      hint: 'Give an ONNX file, model.json of a TensorFlow.js model, or the URL of one.',
      cause: thrown,
    });
  }
}
