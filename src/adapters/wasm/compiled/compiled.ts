import { StepError } from '../../../lib/errors.ts';
import { meter, meterVersion } from '../meter/meter.ts';
import type { SandboxModule } from '../sandbox/order.ts';
import type { Policy } from '../types.ts';

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

/** Compiled modules by digest and policy, the least used forgotten first. Whoever asks for one that is being made waits for that. */
export class CompiledModules {
  readonly #options: CompiledOptions;
  /** In the order of use, the oldest first. */
  readonly #kept = new Map<string, Kept>();
  readonly #making = new Map<string, { module: Promise<SandboxModule>; signal: AbortSignal }>();
  #bytes = 0;

  constructor(options: CompiledOptions) {
    this.#options = options;
  }

  get size(): { modules: number; bytes: number } {
    return { modules: this.#kept.size, bytes: this.#bytes };
  }

  /**
   * @param digest of the module as it came
   * @param read its bytes, asked for only where they are needed
   * @param signal of who asks, and reads for all who wait: where it is aborted, another of them reads
   * @throws StepError MODULE_INVALID, MODULE_UNSUPPORTED, MEMORY_LIMIT, TABLE_LIMIT, and what `read` throws
   */
  get(digest: string, policy: Policy, read: () => Promise<Uint8Array>, signal: AbortSignal): Promise<SandboxModule> {
    const key = keyOf(digest, policy);
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return Promise.resolve(kept.module);
    }
    const making = this.#making.get(key);
    if (making !== undefined)
      return making.module.catch((thrown) => {
        if (making.signal.aborted && !signal.aborted) return this.get(digest, policy, read, signal);
        throw thrown;
      });
    const module = this.#make(key, policy, read).finally(() => this.#making.delete(key));
    this.#making.set(key, { module, signal });
    return module;
  }

  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }

  async #make(key: string, policy: Policy, read: () => Promise<Uint8Array>): Promise<SandboxModule> {
    const { bytes, shape } = meter(await read(), policy);
    let module: WebAssembly.Module;
    try {
      module = await WebAssembly.compile(bytes);
    } catch (cause) {
      const said =
        cause instanceof Error ? cause.message.replace(/^WebAssembly\.\w+\(\): /, '') : 'it does not compile';
      throw new StepError('MODULE_INVALID', `the module is not valid: ${said}`, { cause });
    }
    const made = { key, module, shape };
    this.#keep(key, { module: made, bytes: bytes.length });
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
