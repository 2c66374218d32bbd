import type { BytesContext, BytesDeps } from '../../../kit/named-bytes.ts';
import { Batcher } from '../infer/batcher.ts';
import { devicesOf } from '../infer/device.ts';
import { ready } from '../infer/run-model.ts';
import { Runner } from '../model/runner.ts';
import { findModel } from '../model/source.ts';
import { Processes } from '../process/processes.ts';
import { type ServeOptions, serveModels } from './server.ts';

export interface ServeModelOptions extends BytesDeps, Pick<ServeOptions, 'admit' | 'tls'> {
  /** As `params.model` of a step. */
  model: string;
  name: string;
  host: string;
  port: number;
  device?: string;
  framework?: string;
  timeoutMs: number;
  /** Of the server, for its metadata. */
  version: string;
}

export interface RunningModel {
  name: string;
  /** Where it is asked: `…/v2/models/NAME`. */
  url: string;
  digest: string;
  device: string;
  close(): Promise<void>;
}

/** Loads one model into processes of its own and serves it. @throws StepError as `findModel` and `ready` */
export async function runModelServer(options: ServeModelOptions): Promise<RunningModel> {
  const { model, name, host, port, device = 'cpu', framework, timeoutMs, version } = options;
  const processes = new Processes();
  try {
    const runner = new Runner(processes);
    const params = { model, ...(framework === undefined ? {} : { framework }) };
    const found = await findModel(params, nothingFixed(), options);
    const all = { resources: {}, signal: new AbortController().signal };
    const served = await ready(found, devicesOf({ device }, all), runner, all);
    const deps = { runner, batcher: new Batcher(runner) };
    const { admit, tls } = options;
    const server = await serveModels([{ ...served, name }], { host, port, version, deps, timeoutMs, admit, tls });
    const authority = host.includes(':') ? `[${host}]` : host;
    return {
      name,
      url: `${tls === undefined ? 'http' : 'https'}://${authority}:${server.port}/v2/models/${encodeURIComponent(name)}`,
      digest: found.digest,
      device: served.device,
      async close() {
        await server.close();
        await processes.close();
      },
    };
  } catch (thrown) {
    await processes.close();
    throw thrown;
  }
}

/** There is no run: no file is fixed, and nothing is kept for a replay. */
const nothingFixed = (): BytesContext => ({
  assets: {},
  blobs: { get: () => Promise.reject(new RangeError('there are no blobs')), put: async () => '' },
  pin: () => undefined,
  redact: (text) => text,
  signal: new AbortController().signal,
});
