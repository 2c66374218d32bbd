import { readFile, stat } from 'node:fs/promises';
import { JSONFlowError, messageOf, StepError } from '../../lib/errors.ts';
import { sha256 } from '../../lib/hash.ts';
import { detectAbi } from './abi/detect.ts';
import { moduleLimits } from './binary/limits.ts';
import { readModule } from './binary/read-module.ts';
import { shapeOf } from './binary/shape.ts';
import { type Description, describe } from './describe.ts';
import { checkImports } from './host/imports.ts';
import { meter } from './meter/meter.ts';
import { policyLimits } from './policy.ts';

/** Why a module can't run here, and what to do. */
interface Problem {
  code: string;
  message: string;
  fix?: string;
}

export interface Verdict extends Partial<Description> {
  valid: boolean;
  problems: Problem[];
  bytes: number;
  /** SHA-256, hexadecimal. */
  digest: string;
}

/** Bounds under which a module is tried: those of a step that states none. */
const policy = { ...policyLimits, memoryPagesMax: 65_536, canonicalNaN: true };

/** Everything that `wasm_execute` would refuse a module for, without running it. */
export async function inspectModule(bytes: Uint8Array): Promise<Verdict> {
  const problems: Problem[] = [];
  const verdict = { bytes: bytes.length, digest: sha256(bytes) };
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (thrown) {
      problems.push({
        code: thrown instanceof StepError ? thrown.code : 'MODULE_INVALID',
        message: messageOf(thrown),
      });
      return undefined;
    }
  };
  const shape = attempt(() => shapeOf(readModule(bytes)));
  if (shape === undefined) return { ...verdict, valid: false, problems };
  for (const { import: name, problem, fix } of checkImports(shape))
    problems.push({ code: 'IMPORT_UNSUPPORTED', message: `${name}: ${problem}`, fix });
  attempt(() => detectAbi(shape));
  const metered = attempt(() => meter(bytes, policy));
  if (metered !== undefined)
    try {
      await WebAssembly.compile(metered.bytes);
    } catch (thrown) {
      problems.push({ code: 'MODULE_INVALID', message: messageOf(thrown) });
    }
  return { ...verdict, valid: problems.length === 0, problems, ...describe(shape) };
}

export interface Measured {
  rewrite_ms: number;
  compile_ms: number;
  rewritten_bytes: number;
  /** Where it has no imports: what a fresh instance takes, without its thread. */
  instance_us: number | null;
}

/** How long a valid module takes to get ready, in this process. */
export async function measureModule(bytes: Uint8Array): Promise<Measured> {
  const start = performance.now();
  const metered = meter(bytes, policy);
  const rewritten = performance.now();
  const module = await WebAssembly.compile(metered.bytes);
  const compiled = performance.now();
  let instanceUs: number | null = null;
  if (metered.shape.imports.length === 0) {
    const count = 20;
    for (let each = 0; each < count; each += 1) new WebAssembly.Instance(module);
    instanceUs = Math.round(((performance.now() - compiled) * 1000) / count);
  }
  const ms = (value: number): number => Math.round(value * 100) / 100;
  return {
    rewrite_ms: ms(rewritten - start),
    compile_ms: ms(compiled - rewritten),
    rewritten_bytes: metered.bytes.length,
    instance_us: instanceUs,
  };
}

/** @throws JSONFlowError NOT_FOUND, LIMIT_EXCEEDED */
export async function readModuleFile(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size <= moduleLimits.sizeBytes) return await readFile(path);
  } catch (cause) {
    throw new JSONFlowError('NOT_FOUND', `${path} can't be read: ${messageOf(cause)}`, {
      hint: 'Name a .wasm file.',
      cause,
    });
  }
  throw new JSONFlowError(
    'LIMIT_EXCEEDED',
    `${path} has more than the ${moduleLimits.sizeBytes} bytes that a module may have`,
  );
}

/** Checks modules before they are used. */
export const WASMValidator = {
  /**
   * @param module path of a file, or its bytes
   * @returns whether `wasm_execute` can run it. For the reasons call `inspect`
   * @throws JSONFlowError NOT_FOUND, LIMIT_EXCEEDED
   */
  async validate(module: string | Uint8Array): Promise<boolean> {
    return (await WASMValidator.inspect(module)).valid;
  },
  /** @returns what the module has, and every reason why it could not run @throws JSONFlowError NOT_FOUND, LIMIT_EXCEEDED */
  async inspect(module: string | Uint8Array): Promise<Verdict> {
    return inspectModule(typeof module === 'string' ? await readModuleFile(module) : module);
  },
};
