import { StepError } from '../../../lib/errors.ts';
import { nvrtcHeaders } from '../device/nvrtc-headers.ts';
import { inSpaces, kernelSpaces, paramsOf, type SpaceContext, type Variants, variantsOf } from './address-spaces.ts';
import { blank, type CFunction, type Chunk, chunksOf, closing, isFunction } from './c-source.ts';
import { withoutComments } from './kernel-source.ts';
import { preludeFor } from './rewrite-prelude.ts';
import { inWords, ownNames, renamed } from './rewrite-words.ts';

export interface Rewritten {
  source: string;
  /** Kernels that take dynamic shared memory: it is their last argument. */
  dynamic: ReadonlySet<string>;
  /** What kernels are called in it, where that is a word of OpenCL. */
  entryOf(kernel: string): string;
}

/** What C++ and CUDA have and OpenCL C 1.2 has not. */
const refused: readonly (readonly [RegExp, string])[] = [
  [/\btemplate\s*</, 'a template'],
  [/\b(class|namespace|using|virtual|operator|decltype|typename)\b/, 'C++'],
  [/\bconstexpr\b[^;={}()]{0,100}\(/, 'a constexpr function'],
  [/\bauto\b/, 'the type auto'],
  [/::/, 'a name of a namespace or class'],
  [/<<</, 'a launch within a kernel'],
  [
    /\b(__shfl|__ballot|__any_sync|__all_sync|__syncwarp|__activemask|__match_|__reduce_|warpSize)\w*/,
    'operations of a warp',
  ],
  [/\b__syncthreads_\w+/, 'a barrier that counts'],
  [/\b(cudaMalloc|cudaMemcpy|cudaDeviceSynchronize|surf[123]D|tex[123]D|tex1Dfetch)\w*\s*[(<]/, 'the CUDA runtime'],
  [/\bdim3\s+\w+\s*\(/, 'a constructor'],
  [/\b(__half2?|__nv_bfloat16\w*)\b/, 'half precision'],
  [/\basm\b/, 'assembly'],
  [/__managed__|__cluster_dims__|__grid_constant__/, 'managed memory or clusters'],
];

const sourceMax = 128 * 1024;

const notPortable = (what: string): StepError =>
  new StepError(
    'ML_CUDA_NOT_PORTABLE',
    `there is no NVIDIA GPU here, and the kernels can't run as OpenCL: ${what}; write them in C, or run the step on a node with such a GPU (resource_requirements: { "gpu": 1 })`,
  );

const lineOf = (source: string, at: number): number => source.slice(0, at).split('\n').length;

/**
 * CUDA kernels written in C as OpenCL C 1.2, line by line. Parameters of kernels point to global memory; where other pointers point to is told by
 * what they are made of (address-spaces.ts). What OpenCL refuses all the same its compiler names with its line.
 * @throws StepError ML_CUDA_NOT_PORTABLE that names what OpenCL C doesn't have, and its line
 */
export function rewriteCuda(given: string): Rewritten {
  if (given.length > sourceMax) throw notPortable(`the source has more than ${sourceMax} characters`);
  const texts: string[] = [];
  const plain = cCasts(withoutIncludes(withoutLinkage(withoutComments(given))))
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.[^'\n]{0,8})'/g, (text) => `"${texts.push(text) - 1}"`)
    .replace(/__launch_bounds__\s*\([^()]{0,200}\)/g, '')
    .replace(/\b(unsigned|int|float|double|char|bool|long|short|size_t)\s*\((?=[^*\s)])/g, '($1)(');
  for (const [pattern, what] of refused) {
    const match = pattern.exec(plain);
    if (match !== null) throw notPortable(`line ${lineOf(plain, match.index)} has ${what}`);
  }
  const dynamic = new Set<string>();
  const source = moveDynamic(plain, dynamic);
  const chunks = chunksOf(source);
  const functions = chunks.filter(isFunction);
  for (const one of functions) checkFunction(source, one);
  const context = contextOf(source, chunks, functions);
  const variants = variantsOf(
    context,
    functions.filter((one) => isKernel(source, one)),
  );
  const parts: string[] = [];
  let from = 0;
  for (const chunk of chunks) {
    parts.push(source.slice(from, chunk.from), written(context, chunk, variants));
    from = chunk.to;
  }
  const own = ownNames(source, functions);
  const body = inWords(enumerated(parts.join('') + source.slice(from)), own)
    // In the end, for they may hold anything.
    .replace(/"(\d+)"/g, (_, index: string) => texts[Number(index)] ?? '');
  return { source: preludeFor(body, own) + body, dynamic, entryOf: (kernel) => renamed(kernel, own) };
}

/** Directives that name headers as empty lines. */
const withoutIncludes = (source: string): string =>
  source.replace(/^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]{1,100})[>"]/gm, (line, name: string, at: number) => {
    if (Object.hasOwn(nvrtcHeaders, name)) return blank(line);
    throw notPortable(`line ${lineOf(source, at)} has the header ${name}`);
  });

const linkagesMax = 64;

/** What is within `extern "C" { … }`, and after `extern "C"`; the rest as spaces. */
function withoutLinkage(source: string): string {
  let text = source.replace(/\bextern\s+"C"(?!\s*\{)/g, blank);
  const openings = [...text.matchAll(/\bextern\s+"C"\s*\{/g)];
  if (openings.length > linkagesMax) throw notPortable(`more than ${linkagesMax} blocks of extern "C"`);
  for (const { index, 0: opening } of openings) {
    const close = closing(text, index + opening.length - 1);
    const within = text.slice(index + opening.length, close);
    text = `${text.slice(0, index)}${blank(opening)}${within} ${text.slice(close + 1)}`;
  }
  return text;
}

const castsMax = 1000;
const castMax = 5000;

/** `reinterpret_cast<float4 *>(x)[i]` as `((float4 *)(x))[i]`. */
function cCasts(source: string): string {
  const casts = [...source.matchAll(/\b(?:static|reinterpret|const)_cast\s*<([^<>]{0,200})>\s*\(/g)];
  if (casts.length > castsMax) throw notPortable(`more than ${castsMax} casts`);
  // From the last to the first, so that places before stay what they are.
  return casts.reduceRight((text, { index, 0: cast, 1: type = '' }) => {
    const from = index + cast.length;
    const to = closing(text, from - 1, castMax);
    return `${text.slice(0, index)}((${type})(${text.slice(from, to)}))${text.slice(to + 1)}`;
  }, source);
}

const isKernel = (source: string, { from, paramsFrom }: CFunction): boolean =>
  source.slice(from, paramsFrom).includes('__global__');

function checkFunction(source: string, one: CFunction): void {
  const params = source.slice(one.paramsFrom, one.paramsTo);
  const what = /&/.test(params) ? 'a reference' : /=/.test(params) ? 'a default argument' : undefined;
  if (what !== undefined) throw notPortable(`line ${lineOf(source, one.paramsFrom)} has ${what}`);
  const shared = isKernel(source, one) ? -1 : source.slice(one.from, one.to).indexOf('__shared__');
  if (shared >= 0)
    throw notPortable(`line ${lineOf(source, one.from + shared)} has shared memory in a function that is no kernel`);
  // Whether a warp goes in step shows where others' results are read without a barrier.
  const stepped = /\bvolatile\b[^;]{0,100}(?:\b__shared__\b|\*)|\b__shared__\b[^;=]{0,60}\bvolatile\b/.exec(
    source.slice(one.from, one.to),
  );
  if (stepped !== null && source.includes('__shared__'))
    throw notPortable(
      `line ${lineOf(source, one.from + stepped.index)} has volatile memory, as code has that relies on a warp going in step`,
    );
}

const scalarTypes =
  'void bool char uchar short ushort int uint long ulong float double unsigned signed size_t int8_t uint8_t int16_t uint16_t int32_t uint32_t int64_t uint64_t'.split(
    ' ',
  );
const vectorTypes = [
  'char',
  'uchar',
  'short',
  'ushort',
  'int',
  'uint',
  'long',
  'ulong',
  'longlong',
  'float',
  'double',
].flatMap((type) => [2, 3, 4].map((width) => `${type}${width}`));
const ownTypesMax = 200;

function contextOf(source: string, chunks: readonly Chunk[], functions: readonly CFunction[]): SpaceContext {
  const own = [
    ...source.matchAll(/\bstruct\s+(?:__align__\s*\([^()]{0,20}\)\s*)?(\w+)\s*\{/g),
    ...source.matchAll(/\btypedef\b[^;{}]{1,200}?\b(\w+)\s*;/g),
    ...source.matchAll(/\}\s*(\w+)\s*;/g),
    ...source.matchAll(
      /^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(?:unsigned[ \t]+)?(?:float|double|int|char|long|short|u\w+)[ \t]*$/gm,
    ),
  ].map((match) => match[1] ?? '');
  const types = [
    'unsigned\\s+(?:int|char|short|long(?:\\s+long)?(?:\\s+int)?)',
    'long\\s+long',
    ...scalarTypes,
    ...vectorTypes,
  ];
  types.push(...own.filter(Boolean).slice(0, ownTypesMax));
  const constants = chunks
    .map(({ from, to }) => source.slice(from, to))
    .flatMap((text) => (isConstant(text) ? (/(\w+)\s*(?:\[[^\]]*\]\s*)*=/.exec(text)?.[1] ?? []) : []));
  return { source, functions, types: types.join('|'), constants: new Set(constants) };
}

const leading = /^(?:(?:static|extern|__device__|const|constexpr|__constant__)\s+)+/;

const isConstant = (text: string): boolean =>
  /\b(?:const|constexpr|__constant__)\b/.test(leading.exec(text)?.[0] ?? '');

/** A chunk in OpenCL C but for its words. */
function written(context: SpaceContext, chunk: Chunk | CFunction, variants: Variants): string {
  const { source } = context;
  const text = source.slice(chunk.from, chunk.to);
  if (!isFunction(chunk)) return chunk.kind === 'directive' ? text : declared(source, chunk, text);
  const asKernel = kernelSpaces(paramsOf(context, chunk));
  // A kernel takes no bool.
  if (isKernel(source, chunk)) return inSpaces(context, chunk, asKernel).replace(/\bbool\b(?=\s+\w+\s*[,)])/g, 'uchar');
  const needed = [...(variants.get(chunk.name)?.values() ?? [asKernel])];
  const over = needed.length > 1 ? '__attribute__((overloadable)) ' : '';
  return needed
    .map((spaces) => over + inSpaces(context, chunk, spaces))
    .join(`\n#line ${lineOf(source, chunk.from)}\n`);
}

/** A type or a variable of the whole source. */
function declared(source: string, { from }: Chunk, text: string): string {
  const structure = /^(?:typedef\s+)?(?:struct|union)\b/.test(text);
  if (structure) {
    const inner = text.slice(text.indexOf('{') + 1).replace(/__align__\s*\([^()]*\)/g, '');
    if (text.includes('{') && inner.includes('('))
      throw notPortable(`line ${lineOf(source, from)} has a structure with functions`);
    const name = /^(struct|union)\s+(?:__align__\s*\([^()]*\)\s*)?(\w+)\s*[{;]/.exec(text);
    // In C a structure's name is no type by itself.
    return name === null ? text : `typedef ${name[1]} ${name[2]} ${name[2]}; ${text}`;
  }
  if (isConstant(text)) {
    if (!text.includes('='))
      throw notPortable(`line ${lineOf(source, from)} has constant memory that only a program around it could fill`);
    return enumOf(text) ?? `__constant ${text.replace(leading, '')}`;
  }
  const variable = /\b__device__\b/.exec(text);
  if (variable !== null)
    throw notPortable(`line ${lineOf(source, from + variable.index)} has a variable of the device`);
  return text;
}

/** `const int N = 16;` is a constant in C++, that arrays may have as length. */
const wholeConstant =
  /\b(?:static\s+)?(?:constexpr|const)\s+(?:static\s+)?int\s+(\w+)\s*=\s*((?:[-+*/%()<>|&~\s]|0[xX][\da-fA-F]{1,8}|\d){1,100});/g;

const enumerated = (source: string): string =>
  source.replace(wholeConstant, (text, name: string, value: string) =>
    /\d/.test(value) ? `enum { ${name} = ${value} };` : text,
  );

function enumOf(text: string): string | undefined {
  const changed = enumerated(text);
  return changed === text ? undefined : changed;
}

const dynamicMax = 64;
const dynamicDeclaration =
  /\bextern\s+__shared__\s+(?:__align__\s*\([^()]{0,20}\)\s*)?([^;[\]]{1,200}?)\b(\w+)\s*\[\s*\]\s*;/g;

/** `extern __shared__ float tile[];` becomes a parameter of the kernel that declares it, or of those that use it. */
function moveDynamic(source: string, dynamic: Set<string>): string {
  const declarations = [...source.matchAll(dynamicDeclaration)];
  if (declarations.length > dynamicMax)
    throw notPortable(`more than ${dynamicMax} declarations of dynamic shared memory`);
  const functions = chunksOf(source).filter(isFunction);
  const inserts: { at: number; text: string }[] = [];
  for (const { index, 1: type = '', 2: name = '' } of declarations) {
    const within = functions.find(({ from, to }) => from <= index && index < to);
    const uses = new RegExp(`\\b${name}\\b`);
    for (const one of within === undefined ? functions : [within]) {
      const isUsed = one === within || uses.test(source.slice(one.bodyFrom ?? one.to, one.to));
      if (!isUsed) continue;
      if (!isKernel(source, one))
        throw notPortable(
          `line ${lineOf(source, index)} has dynamic shared memory that "${one.name}" uses, which is no kernel`,
        );
      if (dynamic.has(one.name))
        throw notPortable(`line ${lineOf(source, index)} has a second name of dynamic shared memory`);
      dynamic.add(one.name);
      const isFirst = /^\s*(?:void)?\s*$/.test(source.slice(one.paramsFrom, one.paramsTo));
      inserts.push({
        at: one.paramsTo,
        text: `${isFirst ? '' : ', '}__local ${type.trim().replace(/\s+/g, ' ')} *${name}`,
      });
      // A declaration before has the same parameters.
      for (const other of functions)
        if (other !== one && other.name === one.name)
          inserts.push({ at: other.paramsTo, text: `${isFirst ? '' : ', '}__local ${type.trim()} *${name}` });
    }
  }
  let moved = source.replace(dynamicDeclaration, blank);
  for (const { at, text } of inserts.toSorted((a, b) => b.at - a.at)) {
    // Instead of "void".
    const before = moved.slice(0, at).replace(/\(\s*void\s*$/, '(');
    moved = before + text + moved.slice(at);
  }
  return moved;
}
