import { createWasmAdapter, type WasmOptions } from '../adapters/wasm/adapter.ts';
import { AssetFolders, ownModules } from '../compose/asset-folders.ts';
import { createEgress } from '../egress/egress.ts';
import type { EgressRules } from '../egress/policy.ts';
import type { Adapter } from '../ports/adapter.ts';

/** What `require('jsonflow/wasm-adapter.js')` gives. */
export { WASMValidator } from '../adapters/wasm/validator.ts';

export interface WASMAdapterOptions extends WasmOptions {
  /** Folders with modules, besides those that come with JSONFlow. */
  assets?: string[];
  /** From where modules may be fetched. */
  egress?: EgressRules;
}

/** The WebAssembly adapter with settings of its own, for `engine.registerAdapter`. */
export class WASMAdapter implements Adapter {
  readonly getManifest: Adapter['getManifest'];
  readonly validate: NonNullable<Adapter['validate']>;
  readonly execute: Adapter['execute'];
  readonly healthCheck: NonNullable<Adapter['healthCheck']>;
  readonly close: NonNullable<Adapter['close']>;

  constructor({ assets = [], egress, ...options }: WASMAdapterOptions = {}) {
    const adapter = createWasmAdapter(
      { egress: createEgress(egress), assets: new AssetFolders([...assets, ownModules]) },
      options,
    );
    this.getManifest = adapter.getManifest;
    this.validate = adapter.validate;
    this.execute = adapter.execute;
    this.healthCheck = adapter.healthCheck;
    this.close = adapter.close;
  }
}
