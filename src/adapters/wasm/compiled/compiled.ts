import { meterVersion } from '../meter/meter.ts';
import type { SandboxModule } from '../sandbox/order.ts';
import type { Policy } from '../types.ts';
import { prepareApart } from './prepare-apart.ts';

export interface CompiledOptions {
  /** Modules that are kept. */
  countMax: number;
  /** What they may have in bytes of their rewritten form, together. */
  bytesMax: number;
}

interface Kept {
  module: SandboxModule;
  bytes: number;
}

/** Whoever was to read the module could not: no fault of the module. */
class NotRead extends Error {
  constructor(cause: unknown) {
    super('not read', { cause });
  }
}

/** Compiled modules by digest and policy, the least used forgotten first. Whoever asks for one that is being made waits for that. */
export class CompiledModules {
  readonly #options: CompiledOptions;
  /** In the order of use, the oldest first. */
  readonly #kept = new Map<string, Kept>();
  readonly #making = new Map<string, Promise<SandboxModule>>();
  #bytes = 0;

  constructor(options: CompiledOptions) {
    this.#options = options;
  }

  get size(): { modules: number; bytes: number } {
    return { modules: this.#kept.size, bytes: this.#bytes };
  }

  /**
   * @param digest of the module as it came
   * @param read its bytes, asked for only where they are needed; who asks first reads for all, and where that fails another does
   * @throws StepError MODULE_INVALID, MODULE_UNSUPPORTED, MODULE_TOO_LARGE, MEMORY_LIMIT, TABLE_LIMIT, SANDBOX_CRASHED, and what `read` throws
   */
  async get(digest: string, policy: Policy, read: () => Promise<Uint8Array>): Promise<SandboxModule> {
    const key = keyOf(digest, policy);
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept.module;
    }
    const making = this.#making.get(key);
    try {
      return await (making ?? this.#start(key, policy, read));
    } catch (thrown) {
      if (!(thrown instanceof NotRead)) throw thrown;
      if (making === undefined) throw thrown.cause;
    }
    return this.get(digest, policy, read);
  }

  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }

  #start(key: string, policy: Policy, read: () => Promise<Uint8Array>): Promise<SandboxModule> {
    const making = this.#make(key, policy, read).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  async #make(key: string, policy: Policy, read: () => Promise<Uint8Array>): Promise<SandboxModule> {
    const original = await read().catch((cause: unknown) => {
      throw new NotRead(cause);
    });
    const { module, shape, bytes } = await prepareApart(original, policy);
    const made = { key, module, shape };
    this.#keep(key, { module: made, bytes });
    return made;
  }

  #keep(key: string, entry: Kept): void {
    this.#kept.set(key, entry);
    this.#bytes += entry.bytes;
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#kept.size <= this.#options.countMax && this.#bytes <= this.#options.bytesMax) break;
      if (oldest === key) break;
      this.#kept.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}

const keyOf = (digest: string, policy: Policy): string =>
  `${digest} ${meterVersion} ${policy.memoryPagesMax} ${policy.tableElementsMax} ${policy.callDepthMax} ${policy.canonicalNaN}`;
