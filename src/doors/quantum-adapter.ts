import { createQuantumAdapter, type QuantumOptions } from '../adapters/quantum/adapter.ts';
import { createEgress } from '../egress/egress.ts';
import type { EgressRules } from '../egress/policy.ts';
import type { Adapter } from '../ports/adapter.ts';

export interface QuantumAdapterOptions extends QuantumOptions {
  /** Whom it may talk to for hardware. */
  egress?: EgressRules;
}

/** The quantum adapter with settings of its own, for `engine.registerAdapter`. */
export class QuantumAdapter implements Adapter {
  readonly getManifest: Adapter['getManifest'];
  readonly validate: NonNullable<Adapter['validate']>;
  readonly requirements: NonNullable<Adapter['requirements']>;
  readonly execute: Adapter['execute'];
  readonly healthCheck: NonNullable<Adapter['healthCheck']>;
  readonly close: NonNullable<Adapter['close']>;

  constructor({ egress, ...options }: QuantumAdapterOptions = {}) {
    const adapter = createQuantumAdapter({ egress: createEgress(egress) }, options);
    this.getManifest = adapter.getManifest;
    this.validate = adapter.validate;
    this.requirements = adapter.requirements;
    this.execute = adapter.execute;
    this.healthCheck = adapter.healthCheck;
    this.close = adapter.close;
  }
}
