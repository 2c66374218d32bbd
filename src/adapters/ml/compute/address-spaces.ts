// CUDA's pointers point anywhere; OpenCL C 1.2 has a type for each memory. Which one is told by what a pointer is made of, name by name; each
// function is written as often as it is called with pointers of other memories. A wrong guess is an error of OpenCL's compiler, not another result.
import { StepError } from '../../../lib/errors.ts';
import { type CFunction, closing, listOf } from './c-source.ts';

export type Space = 'global' | 'local' | 'constant' | 'private';

const words: Readonly<Record<Space, string>> = {
  global: '__global ',
  local: '__local ',
  constant: '__constant ',
  private: '',
};

/** What a kernel's helpers are called with: by the name of the function, then by the memory of each parameter, `-` for one that is no pointer. */
export type Variants = Map<string, Map<string, readonly (Space | undefined)[]>>;

const callsMax = 1000;
/** Characters of the arguments of one. */
const callMax = 2000;
const pointersMax = 200;
const variantsMax = 200;

export interface SpaceContext {
  source: string;
  functions: readonly CFunction[];
  /** Names of types, for a regular expression. */
  types: string;
  /** Names in constant memory. */
  constants: ReadonlySet<string>;
}

/** Parameters of a function as they are written. */
export const paramsOf = ({ source }: Pick<SpaceContext, 'source'>, { paramsFrom, paramsTo }: CFunction): string[] => {
  const text = source.slice(paramsFrom, paramsTo);
  return text.trim() === 'void' ? [] : listOf(text);
};

/** Where the parameters of a kernel point to. */
export const kernelSpaces = (params: readonly string[]): (Space | undefined)[] =>
  params.map((param) => (/\b__local\b/.test(param) ? 'local' : isPointer(param) ? 'global' : undefined));

const isPointer = (param: string): boolean => /[*[]/.test(param);
const nameOf = (param: string): string => /(\w+)\s*(?:\[[^\]]*\]\s*)*$/.exec(param)?.[1] ?? '';

/** Finds by the calls, beginning with the kernels, how each helper is needed. @throws StepError ML_CUDA_NOT_PORTABLE */
export function variantsOf(context: SpaceContext, kernels: readonly CFunction[]): Variants {
  const variants: Variants = new Map();
  const helpers = new Map(
    context.functions.filter((one) => !kernels.includes(one)).map((one) => [one.name, one] as const),
  );
  const defined = new Map(
    context.functions.filter(({ bodyFrom }) => bodyFrom !== undefined).map((one) => [one.name, one] as const),
  );
  const open: { of: CFunction; spaces: readonly (Space | undefined)[] }[] = kernels.map((of) => ({
    of,
    spaces: kernelSpaces(paramsOf(context, of)),
  }));
  let count = 0;
  let calls = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.of.bodyFrom === undefined) continue;
    const body = context.source.slice(next.of.bodyFrom, next.of.to);
    const names = namesOf(context, next.of, next.spaces);
    for (const match of body.matchAll(/\b([A-Za-z_]\w*)\s*\(/g)) {
      const helper = helpers.get(match[1] ?? '');
      if (helper === undefined) continue;
      const spaces = spacesOfCall(context, helper, body.slice(match.index + match[0].length - 1), names);
      const key = spaces.map((space) => space ?? '-').join();
      const known = variants.get(helper.name) ?? new Map<string, readonly (Space | undefined)[]>();
      variants.set(helper.name, known);
      calls += 1;
      if (calls > callsMax || count > variantsMax)
        throw new StepError('ML_CUDA_NOT_PORTABLE', 'the kernels call too many functions to run as OpenCL');
      if (known.has(key)) continue;
      known.set(key, spaces);
      count += 1;
      open.push({ of: defined.get(helper.name) ?? helper, spaces });
    }
  }
  return variants;
}

/** Where the pointers point to that a function is called with. @param call from its parenthesis on */
function spacesOfCall(context: SpaceContext, called: CFunction, call: string, names: Names): (Space | undefined)[] {
  const params = paramsOf(context, called);
  const given = params.some(isPointer) ? listOf(call.slice(1, closing(call, 0, callMax))) : [];
  return params.map((param, index) =>
    isPointer(param) ? spaceOf(given[index] ?? '', names, context.constants) : undefined,
  );
}

/** A function for pointers of these memories: only words are added. */
export function inSpaces(context: SpaceContext, one: CFunction, spaces: readonly (Space | undefined)[]): string {
  const { source, types, constants } = context;
  const params = paramsOf(context, one).map((param, index) => {
    const space = spaces[index];
    return space === undefined || /\b__local\b/.test(param)
      ? param
      : param.replace(/^\s*/, (blank) => blank + words[space]);
  });
  const first = spaces.find((space) => space !== undefined) ?? 'global';
  const head = source
    .slice(one.from, one.paramsFrom)
    .replace(new RegExp(`((?:\\bconst\\s+)?\\b(?:${types})\\b(?:\\s+const)?\\s*\\*)`), (type) => words[first] + type);
  const written = head + (spaces.length === 0 ? source.slice(one.paramsFrom, one.paramsTo) : params.join(','));
  if (one.bodyFrom === undefined) return written + source.slice(one.paramsTo, one.to);
  const between = source.slice(one.paramsTo, one.bodyFrom);
  const names = namesOf(context, one, spaces);
  const body = source.slice(one.bodyFrom, one.to);
  const placed = body.replace(pointerType(types), (whole: string, shared: string | undefined, ...rest: unknown[]) => {
    if (shared !== undefined) return whole;
    const at = rest.find((value) => typeof value === 'number') as number;
    const after = body.slice(at + whole.length, at + whole.length + 200);
    const declared = /^\s*(?:(?:const|volatile|__restrict__|restrict)\s+)*(\w+)/.exec(after)?.[1];
    const isCast = /^\s*\)/.test(after);
    const space = isCast
      ? spaceOf(after.replace(/^\s*\)/, ''), names, constants)
      : (names.get(declared ?? '')?.space ?? 'global');
    return words[space] + whole;
  });
  return written + between + placed;
}

/** A pointer's type up to its star; group 1 where it is said to be of shared memory already. */
const pointerType = (types: string): RegExp =>
  new RegExp(`(\\b__shared__\\s+)?(?:\\b(?:const|volatile)\\s+){0,2}\\b(?:${types})\\b(?:\\s+const)?\\s*\\*`, 'g');

interface Named {
  space: Space;
  isArray: boolean;
}

type Names = Map<string, Named>;

/** The pointers and arrays of a function, as far as they are declared in it. */
function namesOf(context: SpaceContext, one: CFunction, spaces: readonly (Space | undefined)[]): Names {
  const names: Names = new Map();
  for (const [index, param] of paramsOf(context, one).entries()) {
    const space = spaces[index];
    if (space !== undefined) names.set(nameOf(param), { space, isArray: false });
  }
  if (one.bodyFrom === undefined) return names;
  const body = context.source.slice(one.bodyFrom, one.to);
  const { types, constants } = context;
  const object = new RegExp(
    `(\\b__(?:shared__|local)\\s[^;=]{0,100}?)?\\b(?:${types})\\s+([A-Za-z_][^;{}()=]{0,300})`,
    'g',
  );
  for (const [, shared, declared = ''] of body.matchAll(object))
    for (const item of declared.split(',')) {
      const [, name = '', bracket] = /^\s*(\w+)\s*(\[)?/.exec(item) ?? [];
      if (shared !== undefined) names.set(name, { space: 'local', isArray: true });
      else if (bracket !== undefined) names.set(name, { space: 'private', isArray: true });
    }
  const pointer = new RegExp(
    `${pointerType(types).source}\\s*(?:(?:const|volatile|__restrict__)\\s+)*(\\w+)\\s*(=[^;]{1,500})?`,
    'g',
  );
  for (const [, shared, name = '', value] of body.matchAll(pointer)) {
    if (shared !== undefined || names.has(name) || name === '' || names.size > pointersMax) continue;
    const given = value?.slice(1) ?? new RegExp(`\\b${name}\\s*=(?!=)([^;]{1,500})`).exec(body)?.[1] ?? '';
    names.set(name, { space: spaceOf(given, names, constants), isArray: false });
  }
  return names;
}

const nothing = /^(?:\s|\(|\*|(?:const|volatile|unsigned|signed|struct)\b|\w+(?:\s+const)?\s*\*+\s*\))/;

/** The memory that an expression points to. */
function spaceOf(expression: string, names: Names, constants: ReadonlySet<string>): Space {
  let rest = /^[^?;]{0,300}\?/.test(expression) ? expression.slice(expression.indexOf('?') + 1) : expression;
  let isAddress = false;
  for (let step = 0; step < 20; step += 1) {
    if (rest.trimStart().startsWith('&')) {
      isAddress = true;
      rest = rest.trimStart().slice(1);
    } else {
      const skipped = nothing.exec(rest)?.[0];
      if (skipped === undefined) break;
      rest = rest.slice(skipped.length);
    }
  }
  const [, name = '', after = ''] = /^(\w+)\s*(->|\[|.)?/s.exec(rest) ?? [];
  const known = names.get(name);
  if (known !== undefined)
    // `&p` of a pointer itself is where the pointer is.
    return isAddress && !known.isArray && after !== '[' && after !== '->' ? 'private' : known.space;
  if (constants.has(name) || rest.trimStart().startsWith('"')) return 'constant';
  return isAddress ? 'private' : 'global';
}
