import { StepError } from '../../../lib/errors.ts';
import { Cursor } from '../binary/cursor.ts';
import { moduleLimits } from '../binary/limits.ts';
import { type Limited, type ParsedModule, readModule, sectionIds } from '../binary/read-module.ts';
import { tooLarge } from '../binary/refusal.ts';
import { shapeOf } from '../binary/shape.ts';
import { valueBytes } from '../binary/value-types.ts';
import type { ModuleShape, Policy } from '../types.ts';
import { Layout } from './layout.ts';
import { BodyRewriter } from './rewrite-body.ts';
import { Writer } from './writer.ts';

/** Part of the key under which a rewritten module is kept: another version may charge otherwise. */
export const meterVersion = '4';

export interface Metered {
  bytes: Uint8Array;
  shape: ModuleShape;
}

/**
 * Rewrites a module so that it can't run beyond its limits, and runs alike on every machine. It gets these exports: `jsonflow:fuel` (i64, what is left),
 * `jsonflow:depth` (i32, what is left), `jsonflow:stop` (i32, why it stopped: see `stops`), `jsonflow:start` (its start function, which
 * then does not run by itself), `jsonflow:memory` (its memory, where that is not exported as `memory`). Custom sections go, but for names.
 *
 * The result is not validated: whoever compiles it does that.
 *
 * @throws StepError MODULE_INVALID, MODULE_UNSUPPORTED, MODULE_TOO_LARGE, MEMORY_LIMIT, TABLE_LIMIT
 */
export function meter(bytes: Uint8Array, policy: Policy): Metered {
  const module = readModule(bytes);
  const shape = shapeOf(module);
  const layout = new Layout(module);
  const code = codeSection(module, layout, policy.canonicalNaN);
  const out = new Writer(bytes.length * 2 + 1024);
  out.raw(bytes, 0, 8);
  const section = (id: number, content: Uint8Array | undefined): void => {
    if (content !== undefined) out.byte(id).u32(content.length).raw(content);
  };
  const copy = (id: number): void => {
    const span = module.sections.get(id);
    if (span !== undefined) section(id, bytes.subarray(span.start, span.end));
  };
  section(sectionIds.type, typeSection(module, layout));
  copy(sectionIds.import);
  section(
    sectionIds.function,
    extended(module, sectionIds.function, layout.addedFunctions, (to, type) => to.u32(type)),
  );
  section(sectionIds.table, tableSection(module, policy));
  section(sectionIds.memory, memorySection(module, policy));
  section(
    sectionIds.global,
    extended(module, sectionIds.global, ['i64', 'i32', 'i32'] as const, (to, type) =>
      to.byte(valueBytes[type], 1, type === 'i64' ? 0x42 : 0x41, 0, 0x0b),
    ),
  );
  section(sectionIds.export, exportSection(module, layout));
  copy(sectionIds.element);
  copy(sectionIds.dataCount);
  section(sectionIds.code, code);
  copy(sectionIds.data);
  const names = module.customs.find(({ name }) => name === 'name');
  if (names !== undefined) out.raw(bytes, names.span.start, names.span.end);
  return { bytes: out.done(), shape };
}

/** A section of a list with more at its end. */
function extended<T>(
  { bytes, sections }: ParsedModule,
  id: number,
  items: readonly T[],
  write: (to: Writer, item: T) => void,
): Uint8Array {
  const span = sections.get(id);
  const to = new Writer((span === undefined ? 0 : span.end - span.start) + 128);
  if (span === undefined) to.u32(items.length);
  else {
    const cursor = new Cursor(bytes, span.start, span.end);
    to.u32(cursor.u32() + items.length).raw(bytes, cursor.position, span.end);
  }
  for (const item of items) write(to, item);
  return to.done();
}

const typeSection = (module: ParsedModule, layout: Layout): Uint8Array =>
  extended(module, sectionIds.type, layout.addedTypes, (to, { params, results }) => {
    to.byte(0x60)
      .u32(params.length)
      .byte(...params.map((type) => valueBytes[type]));
    to.u32(results.length).byte(...results.map((type) => valueBytes[type]));
  });

/** Those of the module itself, behind the imported ones. */
const own = (module: ParsedModule, kind: 'table' | 'memory', all: readonly Limited[]): readonly Limited[] =>
  all.slice(module.imports.filter((item) => item.kind === kind).length);

function tableSection(module: ParsedModule, { tableElementsMax }: Policy): Uint8Array | undefined {
  const tables = own(module, 'table', module.tables);
  if (tables.length === 0) return undefined;
  const least = tables.reduce((sum, { limits }) => sum + limits.min, 0);
  if (least > tableElementsMax)
    throw new StepError(
      'TABLE_LIMIT',
      `the module's tables begin with ${least} elements; at most ${tableElementsMax} are allowed`,
    );
  const share = Math.floor((tableElementsMax - least) / tables.length);
  const to = new Writer().u32(tables.length);
  for (const { element = 0x70, limits } of tables) {
    const max = Math.min(limits.max ?? Number.POSITIVE_INFINITY, limits.min + share);
    to.byte(element, 1).u32(limits.min).u32(max);
  }
  return to.done();
}

function memorySection(module: ParsedModule, { memoryPagesMax }: Policy): Uint8Array | undefined {
  const [memory] = own(module, 'memory', module.memories);
  if (memory === undefined) return undefined;
  const { min, max = memoryPagesMax } = memory.limits;
  if (min > memoryPagesMax)
    throw new StepError(
      'MEMORY_LIMIT',
      `the module's memory begins with ${min} pages of 64 KiB; ${memoryPagesMax} are allowed (memory_pages, ram_mb, or the node's limit)`,
    );
  return new Writer().byte(1, 1).u32(min).u32(Math.min(max, memoryPagesMax)).done();
}

function exportSection(module: ParsedModule, layout: Layout): Uint8Array {
  const added: [name: string, kind: number, index: number][] = [
    ['jsonflow:fuel', 3, layout.fuel],
    ['jsonflow:depth', 3, layout.depth],
    ['jsonflow:stop', 3, layout.stop],
  ];
  if (layout.begin !== undefined) added.push(['jsonflow:start', 0, layout.begin]);
  const exported = module.exports.some(({ name, kind }) => name === 'memory' && kind === 'memory');
  if (module.memories.length > 0 && !exported) added.push(['jsonflow:memory', 2, 0]);
  return extended(module, sectionIds.export, added, (to, [name, kind, index]) => to.text(name).byte(kind).u32(index));
}

function codeSection(module: ParsedModule, layout: Layout, canonicalNaN: boolean): Uint8Array {
  const span = module.sections.get(sectionIds.code);
  const to = new Writer((span === undefined ? 0 : (span.end - span.start) * 2) + 512);
  const added = layout.bodies();
  const scratch = new Writer();
  to.u32(module.bodies.length + added.length);
  for (const index of module.bodies.keys()) {
    const size = new BodyRewriter(module, index, layout, canonicalNaN, scratch).rewrite(to);
    if (size > moduleLimits.functionBytes)
      throw tooLarge(
        `function ${module.importedFunctions + index} of the module is too large: with its meters it has ${size} bytes, and at most ${moduleLimits.functionBytes} are allowed; split it up`,
      );
    if (to.length > moduleLimits.codeBytes)
      throw tooLarge(`the module has too much code: with its meters it is larger than ${moduleLimits.codeBytes} bytes`);
  }
  for (const body of added) to.u32(body.length).raw(body);
  return to.done();
}
