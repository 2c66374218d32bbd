import { detectAbi } from './abi/detect.ts';
import type { Abi, FunctionType, ModuleExport, ModuleImport, ModuleShape } from './types.ts';

/** What a module has, for people: `wasm_load` and `jsonflow wasm inspect`. */
export interface Description {
  abi: Abi | null;
  toolchain: string | null;
  exports: { name: string; kind: string; signature?: string }[];
  imports: { module: string; name: string; kind: string; signature?: string }[];
  memory: { min_pages: number; max_pages: number | null } | null;
}

/** What a module has, for people and for `wasm_load`. */
export function describe(shape: ModuleShape): Description {
  const [memory] = shape.memories;
  return {
    abi: abiOf(shape),
    toolchain: toolchainOf(shape),
    exports: shape.exports.map((item) => ({ name: item.name, kind: item.kind, ...signed(item) })),
    imports: shape.imports.map((item) => ({ module: item.module, name: item.name, kind: item.kind, ...signed(item) })),
    memory: memory === undefined ? null : { min_pages: memory.min, max_pages: memory.max ?? null },
  };
}

function abiOf(shape: ModuleShape): Abi | null {
  try {
    return detectAbi(shape);
  } catch {
    // The reason is the verdict's.
    return null;
  }
}

/** As far as the module tells: who built it may have removed or invented it. */
function toolchainOf({ producers, customSections, exports }: ModuleShape): string | null {
  const of = (field: string): string | undefined => {
    const found = producers
      .filter((item) => item.field === field)
      .map(({ name, version }) => `${name} ${version}`.trim());
    return found.length === 0 ? undefined : found.slice(0, 5).join(', ');
  };
  const said = [of('language'), of('processed-by')].filter((part) => part !== undefined);
  if (said.length > 0) return said.join('; ');
  if (exports.some(({ name }) => name === '__rtti_base')) return 'AssemblyScript';
  if (customSections.some((name) => name.startsWith('go:') || name === 'go.buildid')) return 'Go';
  return null;
}

const signed = (item: ModuleImport | ModuleExport): { signature?: string } =>
  item.type === undefined
    ? {}
    : { signature: signatureText(item.type, 'paramNames' in item ? item.paramNames : undefined) };

function signatureText({ params, results }: FunctionType, names: readonly (string | undefined)[] = []): string {
  const list = params.map((type, index) => (names[index] === undefined ? type : `${names[index]}: ${type}`));
  const gives = results.length === 1 ? results[0] : `(${results.join(', ')})`;
  return `(${list.join(', ')}) -> ${gives}`;
}
