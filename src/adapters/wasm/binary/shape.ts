import type { ModuleExport, ModuleShape } from '../types.ts';
import { Cursor } from './cursor.ts';
import { floatKind, instructions, SIMD } from './instructions.ts';
import { readImmediate, readOpcode } from './read-instruction.ts';
import type { ParsedModule } from './read-module.ts';

const namesMax = 100_000;
const producersMax = 50;
const textMax = 1_000;

/** What a module shows without being run. @throws StepError MODULE_INVALID, MODULE_UNSUPPORTED where its code is not sound */
export function shapeOf(module: ParsedModule): ModuleShape {
  const { hasFloats, hasSimd } = scan(module);
  const localNames = namesOf(module);
  return {
    imports: module.imports,
    exports: module.exports.map(({ name, kind, index }): ModuleExport => {
      if (kind !== 'func') return { name, kind };
      const type = module.types[module.functionTypes[index] ?? -1];
      const names = localNames.get(index);
      return {
        name,
        kind,
        ...(type === undefined ? {} : { type }),
        ...(names === undefined || type === undefined
          ? {}
          : { paramNames: type.params.map((_, param) => names.get(param)) }),
      };
    }),
    memories: module.memories.map(({ limits }) => limits),
    tables: module.tables.map(({ limits }) => limits),
    hasStart: module.start !== undefined,
    hasFloats,
    hasSimd,
    producers: producersOf(module),
    customSections: module.customs.map(({ name }) => name.slice(0, textMax)),
    functionCount: module.functionTypes.length,
  };
}

function scan({ bytes, bodies }: ParsedModule): { hasFloats: boolean; hasSimd: boolean } {
  let hasFloats = false;
  let hasSimd = false;
  for (const { code, span } of bodies) {
    const cursor = new Cursor(bytes, code, span.end);
    while (!cursor.done) {
      const opcode = readOpcode(cursor);
      readImmediate(cursor, opcode);
      if (opcode >= SIMD) hasSimd = true;
      if (instructions.gives[opcode] !== floatKind.none) hasFloats = true;
    }
  }
  return { hasFloats, hasSimd };
}

/** Names of the locals of exported functions, by the name section. One that is malformed has none: it is a hint. */
function namesOf(module: ParsedModule): Map<number, Map<number, string>> {
  const wanted = new Set(module.exports.filter(({ kind }) => kind === 'func').map(({ index }) => index));
  const found = new Map<number, Map<number, string>>();
  const section = module.customs.find(({ name }) => name === 'name');
  if (section === undefined) return found;
  try {
    const cursor = new Cursor(module.bytes, section.content.start, section.content.end);
    while (!cursor.done) {
      const id = cursor.u8();
      const part = cursor.part(cursor.u32());
      if (id !== 2) continue;
      for (let left = part.count(namesMax, 2, 'functions'); left > 0; left -= 1) {
        const index = part.u32();
        const names = new Map<number, string>();
        for (let each = part.count(namesMax, 2, 'names'); each > 0; each -= 1)
          names.set(part.u32(), part.name(textMax));
        if (wanted.has(index)) found.set(index, names);
      }
    }
  } catch {
    return new Map();
  }
  return found;
}

/** The section of the tool conventions (https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md). */
function producersOf(module: ParsedModule): ModuleShape['producers'] {
  const producers: ModuleShape['producers'] = [];
  const section = module.customs.find(({ name }) => name === 'producers');
  if (section === undefined) return producers;
  try {
    const cursor = new Cursor(module.bytes, section.content.start, section.content.end);
    for (let fields = cursor.count(producersMax, 2, 'fields'); fields > 0; fields -= 1) {
      const field = cursor.name(textMax);
      for (let left = cursor.count(producersMax, 2, 'values'); left > 0; left -= 1) {
        const item = { field, name: cursor.name(textMax), version: cursor.name(textMax) };
        if (producers.length < producersMax) producers.push(item);
      }
    }
  } catch {
    return [];
  }
  return producers;
}
