// What the command line needs of the ML adapter.
import { basename, dirname } from 'node:path';
import { Refusal } from '../adapters/ml/remote/reply.ts';
import { type RunningModel, runModelServer } from '../adapters/ml/remote/serve-model.ts';
import type { Caller } from '../adapters/ml/remote/server.ts';
import { createEgress } from '../egress/egress.ts';
import type { EgressRules } from '../egress/policy.ts';
import { accessControl } from '../http/access.ts';
import { HttpProblem, statusOf } from '../http/problem.ts';
import { JSONFlowError, StepError } from '../lib/errors.ts';
import { isLoopback } from '../lib/net.ts';
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
  /** Bearer tokens, one of which every caller has to show. Without any, only this machine may use the model. */
  apiTokens?: readonly string[];
  /** PEM. With `ca` every client must show a certificate that it signed. */
  tls?: { cert?: string; key?: string; ca?: string };
  /** Allow plain text, and no token, beyond this machine. Default false. */
  insecure?: boolean;
}

/**
 * Serves a model by the Open Inference Protocol v2.
 * @throws JSONFlowError INVALID_INPUT where it can't be had or run, INVALID_CONFIG where it would be open to other machines unasked
 */
export async function startModelServer(settings: ModelServerOptions): Promise<RunningModel> {
  checkExposure(settings);
  const { model, name, egress, apiTokens = [], insecure = false, ...options } = settings;
  const isUrl = /^https?:\/\//i.test(model);
  const file = isUrl ? new URL(model).pathname : model;
  try {
    return await runModelServer({
      ...options,
      admit: admission(apiTokens, (insecure && !isLoopback(options.host)) || options.tls?.ca !== undefined),
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

/** As of a coordinator: plain text, or an open door, to other machines must be asked for. */
function checkExposure({ host, tls, apiTokens = [], insecure = false }: ModelServerOptions): void {
  if (tls !== undefined && tls.cert === undefined)
    throw invalid('a certificate authority alone makes no TLS', 'Give --tls-cert and --tls-key, too.');
  if (isLoopback(host) || insecure) return;
  if (tls === undefined)
    throw invalid(
      `listening on ${host} without TLS would send everything in plain text`,
      'Give --tls-cert and --tls-key, or allow it with --insecure.',
    );
  if (apiTokens.length === 0 && tls.ca === undefined)
    throw invalid(
      `listening on ${host} without a token would let any machine use the model`,
      'Give --api-token @FILE, or allow it with --insecure.',
    );
}

const invalid = (message: string, hint: string): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', message, { hint });

/**
 * Who may use the model. Tokens are asked of this machine's programs, too: whoever gives one means it.
 * @param open whether, without tokens, whoever can connect may
 */
function admission(tokens: readonly string[], open: boolean): ((caller: Caller) => void) | undefined {
  if (tokens.length === 0 && open) return undefined;
  const admit = accessControl({ tokens, tokenOnLoopback: tokens.length > 0 });
  return (caller) => {
    try {
      admit(caller);
    } catch (thrown) {
      if (!(thrown instanceof HttpProblem)) throw thrown;
      const status = statusOf(thrown.code);
      throw new Refusal(status, `${thrown.message}. ${thrown.hint ?? ''}`.trim(), {
        ...(status === 401 ? { 'www-authenticate': 'Bearer realm="jsonflow"' } : {}),
      });
    }
  };
}
