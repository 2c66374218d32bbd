import { clip } from '../../../lib/clip.ts';
import type { ExternKind, FunctionType, Limits, ModuleImport, ValueType } from '../types.ts';
import { Cursor } from './cursor.ts';
import { moduleLimits } from './limits.ts';
import { multipleMemories, readImmediate, readOpcode } from './read-instruction.ts';
import { invalid, tooLarge, unsupported } from './refusal.ts';
import { valueTypes } from './value-types.ts';

/** Where something stands in the bytes. */
interface Span {
  start: number;
  end: number;
}

export interface FunctionBody {
  /** Of its locals and code. */
  span: Span;
  /** Where its code begins. */
  code: number;
  /** Runs of locals of one type, as the binary has them. */
  locals: Span;
  /** Groups in `locals`, without their number. */
  groups: number;
  localCount: number;
}

interface RawExport {
  name: string;
  kind: ExternKind;
  index: number;
}

/** A table or a memory. */
export interface Limited {
  limits: Limits;
  /** Of the type of elements; undefined for a memory. */
  element?: number;
}

/** A module taken apart. Indexes within it are checked where the rewriter adds to what they count; the rest is checked by who compiles it. */
export interface ParsedModule {
  bytes: Uint8Array;
  types: FunctionType[];
  imports: ModuleImport[];
  importedFunctions: number;
  /** Type of each function, imported ones first. */
  functionTypes: number[];
  tables: Limited[];
  memories: Limited[];
  globalCount: number;
  exports: RawExport[];
  start: number | undefined;
  bodies: FunctionBody[];
  /** Contents of the known sections, by id. */
  sections: Map<number, Span>;
  customs: { name: string; span: Span; content: Span }[];
}

export const sectionIds = {
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;
const { type, global, start, element, code, data, dataCount } = sectionIds;
/** The order in which sections must stand. */
const order = [type, 2, 3, 4, 5, 13, global, 7, start, element, dataCount, code, data];

const kinds: readonly ExternKind[] = ['func', 'table', 'memory', 'global', 'tag'];

/** @throws StepError MODULE_INVALID with the offset, MODULE_UNSUPPORTED, MODULE_TOO_LARGE */
export function readModule(bytes: Uint8Array): ParsedModule {
  if (bytes.length > moduleLimits.sizeBytes)
    throw tooLarge(`the module has ${bytes.length} bytes; at most ${moduleLimits.sizeBytes} are allowed`);
  checkHeader(bytes);
  const module: ParsedModule = {
    ...{ bytes, types: [], imports: [], importedFunctions: 0, functionTypes: [] },
    ...{ tables: [], memories: [], globalCount: 0, exports: [], start: undefined, bodies: [] },
    ...{ sections: new Map(), customs: [] },
  };
  const cursor = new Cursor(bytes, 8);
  let place = -1;
  while (!cursor.done) {
    const at = cursor.position;
    const id = cursor.u8();
    const part = cursor.part(cursor.u32());
    if (id === 0) {
      readCustom(part, module, at);
      continue;
    }
    if (id === 13) throw unsupported('exception handling', 'Build it without exceptions.');
    const next = order.indexOf(id);
    if (next === -1) throw invalid(at, `no section has the id ${id}`);
    if (next <= place) throw invalid(at, `section ${id} stands twice, or out of order`);
    place = next;
    module.sections.set(id, { start: part.position, end: part.end });
    readers[id]?.(part, module);
    if (!part.done) throw invalid(part.position, `section ${id} is longer than what it holds`);
  }
  if (module.bodies.length !== module.functionTypes.length - module.importedFunctions)
    throw invalid(bytes.length, 'there are not as many bodies as functions');
  return module;
}

function checkHeader(bytes: Uint8Array): void {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(8, bytes.length)).toString('hex');
  if (!head.startsWith('0061736d')) throw invalid(0, 'it does not begin with "\\0asm"');
  if (head === '0061736d0d000100')
    throw unsupported(
      'the component model',
      'Build a core module (wasm32-wasip1), or take the component apart with a tool such as jco transpile.',
    );
  if (head !== '0061736d01000000') throw invalid(4, 'its version is not 1');
}

const readers: Readonly<Record<number, (cursor: Cursor, module: ParsedModule) => void>> = {
  [type]: readTypes,
  2: readImports,
  3: readFunctions,
  4: readTables,
  5: readMemories,
  [global]: readGlobals,
  7: readExports,
  [start]: (cursor, module) => {
    module.start = functionIndex(cursor, module);
  },
  [element]: readElements,
  [dataCount]: (cursor) => void cursor.count(moduleLimits.dataSegments, 0, 'data segments'),
  [code]: readBodies,
  [data]: readData,
};

function readCustom(cursor: Cursor, module: ParsedModule, at: number): void {
  if (module.customs.length >= moduleLimits.customSections) throw invalid(at, 'there are too many custom sections');
  const name = cursor.name(moduleLimits.nameBytes);
  module.customs.push({
    name,
    span: { start: at, end: cursor.end },
    content: { start: cursor.position, end: cursor.end },
  });
}

function readTypes(cursor: Cursor, { types }: ParsedModule): void {
  for (let left = cursor.count(moduleLimits.types, 3, 'types'); left > 0; left -= 1) {
    const at = cursor.position;
    const form = cursor.u8();
    if (form === 0x5f || form === 0x5e || form === 0x50 || form === 0x4f || form === 0x4e)
      throw unsupported('types of garbage collection', 'Build it for WebAssembly without garbage collection.');
    if (form !== 0x60) throw invalid(at, 'a type is not that of a function');
    types.push({
      params: readValueTypes(cursor, moduleLimits.paramsOfType, 'params'),
      results: readValueTypes(cursor, moduleLimits.resultsOfType, 'results'),
    });
  }
}

function readValueTypes(cursor: Cursor, max: number, what: string): ValueType[] {
  return Array.from({ length: cursor.count(max, 1, what) }, () => readValueType(cursor));
}

function readValueType(cursor: Cursor): ValueType {
  const at = cursor.position;
  const byte = cursor.u8();
  const found = valueTypes.get(byte);
  if (found !== undefined) return found;
  if (byte >= 0x63 && byte <= 0x7a) throw beyondReferences();
  throw invalid(at, `0x${byte.toString(16)} is not a type of a value`);
}

const beyondReferences = (): Error => unsupported('references beyond funcref and externref', 'Build it without them.');

function readImports(cursor: Cursor, module: ParsedModule): void {
  for (let left = cursor.count(moduleLimits.imports, 4, 'imports'); left > 0; left -= 1) {
    const from = cursor.name(moduleLimits.nameBytes);
    const name = cursor.name(moduleLimits.nameBytes);
    const at = cursor.position;
    const kind = kinds[cursor.u8()];
    if (kind === undefined) throw invalid(at, 'an import is of no known kind');
    const item: ModuleImport = { module: from, name, kind };
    if (kind === 'func') {
      const index = typeIndex(cursor, module);
      module.functionTypes.push(index);
      module.importedFunctions += 1;
      item.type = module.types[index] as FunctionType;
    } else if (kind === 'table') readTable(cursor, module);
    else if (kind === 'memory') readMemory(cursor, module);
    else if (kind === 'global') {
      readValueType(cursor);
      cursor.u8();
      module.globalCount += 1;
    } else throw unsupported('exception handling', 'Build it without exceptions.');
    module.imports.push(item);
  }
}

function typeIndex(cursor: Cursor, { types }: ParsedModule): number {
  return below(cursor, types.length, 'type');
}

function functionIndex(cursor: Cursor, { functionTypes }: ParsedModule): number {
  return below(cursor, functionTypes.length, 'function');
}

function below(cursor: Cursor, count: number, what: string): number {
  const at = cursor.position;
  const index = cursor.u32();
  if (index >= count) throw invalid(at, `there is no ${what} ${index}`);
  return index;
}

function readFunctions(cursor: Cursor, module: ParsedModule): void {
  const count = cursor.count(moduleLimits.functions, 1, 'functions');
  for (let each = 0; each < count; each += 1) module.functionTypes.push(typeIndex(cursor, module));
}

function readLimits(cursor: Cursor, what: 'memory' | 'table'): Limits {
  const at = cursor.position;
  const flags = cursor.u8();
  if (flags === 0x02 || flags === 0x03)
    throw unsupported('shared memory (threads)', 'Build it without threads (clang and Emscripten: no -pthread).');
  if (flags >= 0x04 && flags <= 0x07) throw unsupported(`64-bit ${what}`, 'Build it for wasm32.');
  if (flags > 1) throw invalid(at, 'limits have unknown flags');
  const min = cursor.u32();
  const limits: Limits = flags === 1 ? { min, max: cursor.u32() } : { min };
  if (limits.max !== undefined && limits.max < min) throw invalid(at, 'limits have a maximum below their minimum');
  return limits;
}

function readTable(cursor: Cursor, module: ParsedModule): void {
  if (module.tables.length >= moduleLimits.tables) throw invalid(cursor.position, 'there are too many tables');
  const at = cursor.position;
  const elementType = cursor.u8();
  if (elementType >= 0x63 && elementType <= 0x75 && elementType !== 0x6f && elementType !== 0x70)
    throw beyondReferences();
  if (elementType === 0x40) throw unsupported('tables with an initial value', 'Build it without typed references.');
  if (elementType !== 0x70 && elementType !== 0x6f) throw invalid(at, 'a table has elements of no known type');
  module.tables.push({ element: elementType, limits: readLimits(cursor, 'table') });
}

function readTables(cursor: Cursor, module: ParsedModule): void {
  for (let left = cursor.count(moduleLimits.tables, 3, 'tables'); left > 0; left -= 1) readTable(cursor, module);
}

function readMemory(cursor: Cursor, module: ParsedModule): void {
  if (module.memories.length > 0) throw multipleMemories();
  const at = cursor.position;
  const found = readLimits(cursor, 'memory');
  if (found.min > moduleLimits.memoryPages || (found.max ?? 0) > moduleLimits.memoryPages)
    throw invalid(at, `a memory has more than ${moduleLimits.memoryPages} pages`);
  module.memories.push({ limits: found });
}

function readMemories(cursor: Cursor, module: ParsedModule): void {
  const count = cursor.count(1_000, 2, 'memories');
  for (let each = 0; each < count; each += 1) readMemory(cursor, module);
}

function readGlobals(cursor: Cursor, module: ParsedModule): void {
  const count = cursor.count(moduleLimits.globals, 3, 'globals');
  for (let each = 0; each < count; each += 1) {
    readValueType(cursor);
    if (cursor.u8() > 1) throw invalid(cursor.position - 1, 'a global is neither mutable nor constant');
    readConstant(cursor, module);
    module.globalCount += 1;
  }
}

/** A constant expression: passed over, its indexes checked. */
function readConstant(cursor: Cursor, module: ParsedModule): void {
  for (;;) {
    const at = cursor.position;
    const opcode = readOpcode(cursor);
    const immediate = readImmediate(cursor, opcode);
    if (opcode === 0x0b) return;
    checkIndex(opcode, immediate, at, module);
  }
}

/** Indexes into what the rewriter adds to: what it adds must be out of reach. */
export function checkIndex(
  opcode: number,
  index: number,
  offset: number,
  { globalCount, functionTypes }: Pick<ParsedModule, 'globalCount' | 'functionTypes'>,
): void {
  if ((opcode === 0x23 || opcode === 0x24) && index >= globalCount)
    throw invalid(offset, `there is no global ${index}`);
  if ((opcode === 0x10 || opcode === 0x12 || opcode === 0xd2) && index >= functionTypes.length)
    throw invalid(offset, `there is no function ${index}`);
}

function readExports(cursor: Cursor, module: ParsedModule): void {
  const names = new Set<string>();
  for (let left = cursor.count(moduleLimits.exports, 3, 'exports'); left > 0; left -= 1) {
    const at = cursor.position;
    const name = cursor.name(moduleLimits.nameBytes);
    if (names.has(name)) throw invalid(at, `two exports have the name ${JSON.stringify(clip(name, 100))}`);
    if (name.startsWith('jsonflow:')) throw invalid(at, 'an export has a name that begins with "jsonflow:"');
    names.add(name);
    const kind = kinds[cursor.u8()];
    if (kind === undefined || kind === 'tag') throw invalid(cursor.position - 1, 'an export is of no known kind');
    const counts = {
      func: module.functionTypes.length,
      table: module.tables.length,
      memory: module.memories.length,
      global: module.globalCount,
    };
    module.exports.push({ name, kind, index: below(cursor, counts[kind], kind) });
  }
}

function readElements(cursor: Cursor, module: ParsedModule): void {
  let total = 0;
  for (let left = cursor.count(moduleLimits.elementSegments, 2, 'element segments'); left > 0; left -= 1) {
    const at = cursor.position;
    const flags = cursor.u32();
    if (flags > 7) throw invalid(at, 'an element segment has unknown flags');
    if ((flags & 1) === 0) {
      if ((flags & 2) !== 0) cursor.u32();
      readConstant(cursor, module);
    }
    const expressions = (flags & 4) !== 0;
    if ((flags & 3) !== 0) {
      if (expressions) readValueType(cursor);
      else if (cursor.u8() !== 0) throw invalid(cursor.position - 1, 'an element segment is of no known kind');
    }
    const count = cursor.count(moduleLimits.elements, 1, 'elements');
    total += count;
    if (total > moduleLimits.elements) throw invalid(at, `there are more than ${moduleLimits.elements} elements`);
    for (let each = 0; each < count; each += 1)
      if (expressions) readConstant(cursor, module);
      else functionIndex(cursor, module);
  }
}

function readBodies(cursor: Cursor, module: ParsedModule): void {
  const count = cursor.count(moduleLimits.functions, 2, 'bodies');
  if (count !== module.functionTypes.length - module.importedFunctions)
    throw invalid(cursor.position, 'there are not as many bodies as functions');
  for (let each = 0; each < count; each += 1) {
    const at = cursor.position;
    const size = cursor.u32();
    if (size > moduleLimits.functionBytes)
      throw invalid(at, `a function has more than ${moduleLimits.functionBytes} bytes`);
    const body = cursor.part(size);
    const span = { start: body.position, end: body.end };
    const groups = body.count(moduleLimits.localsOfFunction, 2, 'groups of locals');
    const locals = { start: body.position, end: body.position };
    let localCount = 0;
    for (let group = 0; group < groups; group += 1) {
      localCount += body.u32();
      if (localCount > moduleLimits.localsOfFunction)
        throw invalid(at, `a function has more than ${moduleLimits.localsOfFunction} locals`);
      readValueType(body);
    }
    locals.end = body.position;
    module.bodies.push({ span, code: body.position, locals, groups, localCount });
  }
}

function readData(cursor: Cursor, module: ParsedModule): void {
  for (let left = cursor.count(moduleLimits.dataSegments, 2, 'data segments'); left > 0; left -= 1) {
    const at = cursor.position;
    const flags = cursor.u32();
    if (flags > 2) throw invalid(at, 'a data segment has unknown flags');
    if (flags === 2 && cursor.u32() !== 0) throw multipleMemories();
    if (flags !== 1) readConstant(cursor, module);
    cursor.skip(cursor.u32());
  }
}
