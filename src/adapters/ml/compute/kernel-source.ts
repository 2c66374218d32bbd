// What is read from the text of kernels: their names, and of CUDA's the parameters.

import { nvrtcHeaders } from '../device/nvrtc-headers.ts';
import { blank, closing, listOf } from './c-source.ts';

interface KernelHead {
  name: string;
  /** As they are written. */
  params: string[];
}

/** Characters that the parameters of a kernel may take. */
const headMax = 20_000;

/** Comments as spaces, so that every place and line stays what it is. In one pass, whatever the source is. */
export function withoutComments(source: string): string {
  const parts: string[] = [];
  let from = 0;
  for (let at = nextMark(source, 0); at < source.length; at = nextMark(source, at)) {
    const quote = source[at];
    const isText = quote === '"' || quote === "'";
    const end = isText ? endOfText(source, at) : endOfComment(source, at);
    if (!isText) {
      parts.push(source.slice(from, at), blank(source.slice(at, end)));
      from = end;
    }
    at = end;
  }
  return parts.join('') + source.slice(from);
}

/** Where the next comment, text or character begins. */
function nextMark(source: string, from: number): number {
  for (let at = from; at < source.length; at += 1) {
    const character = source[at];
    // Within a number it parts digits.
    if (character === '"' || (character === "'" && !/\w/.test(source[at - 1] ?? ''))) return at;
    if (character === '/' && (source[at + 1] === '/' || source[at + 1] === '*')) return at;
  }
  return source.length;
}

function endOfComment(source: string, at: number): number {
  const isLine = source[at + 1] === '/';
  const end = source.indexOf(isLine ? '\n' : '*/', at + 2);
  if (end < 0) return source.length;
  return isLine ? end : end + 2;
}

function endOfText(source: string, from: number): number {
  let at = from + 1;
  while (at < source.length && source[at] !== source[from] && source[at] !== '\n') at += source[at] === '\\' ? 2 : 1;
  return Math.min(source.length, at + 1);
}

/** The kernels of CUDA's source without comments. */
export function kernelsOf(source: string): KernelHead[] {
  const heads: KernelHead[] = [];
  let last = 0;
  // Blank, so that it is not taken for the name; places stay.
  const plain = source.replace(/__launch_bounds__\s*\([^()]{0,200}\)/g, blank);
  for (const match of plain.matchAll(/__global__\s[^(){};]{0,300}?\b(\w+)\s*\(/g)) {
    const from = match.index + match[0].length;
    // One within the parameters of another is none.
    if (from < last) continue;
    const to = closing(source, from - 1, headMax);
    last = to;
    if (source[to] !== ')' || match[1] === undefined) continue;
    heads.push({ name: match[1], params: paramsOf(source.slice(from, to)) });
  }
  return heads;
}

function paramsOf(text: string): string[] {
  if (/^\s*(void)?\s*$/.test(text)) return [];
  return listOf(text).map((param) => param.trim());
}

/**
 * The first line that reads a file which is no header of the compiler: what stands in files of the machine would show in the compiler's errors.
 * @returns its number, from 1
 */
export function strangeInclude(source: string): number | undefined {
  const spliced = withoutComments(source).replace(/\\\r?\n/g, '  ');
  const line = spliced.split('\n').findIndex((text) => {
    if (!/^\s*(?:#|%:|\?\?=)\s*(?:include|import|include_next|embed)\b/.test(text)) return false;
    const [, inQuotes, inBrackets] = /^\s*#\s*include\s*(?:"([^"]*)"|<(\w[\w./+-]{0,100})>)/.exec(text) ?? [];
    return inQuotes === undefined ? inBrackets?.includes('..') !== false : !Object.hasOwn(nvrtcHeaders, inQuotes);
  });
  return line < 0 ? undefined : line + 1;
}

/** Names of the kernels of a source, by language. */
export const kernelNames = {
  cuda: (source: string): string[] => kernelsOf(withoutComments(source)).map(({ name }) => name),
  opencl: (source: string): string[] => {
    const plain = withoutComments(source).replace(
      /__attribute__\s*\(\([^()]{0,200}(?:\([^()]{0,200}\))?[^()]{0,200}\)\)/g,
      blank,
    );
    return [...plain.matchAll(/\b(?:__)?kernel\s[^(){};]{0,300}?\b(\w+)\s*\(/g)].map(([, name = '']) => name);
  },
  wgsl: (source: string): string[] => {
    const plain = withoutComments(source);
    // Its attributes stand before it, in any order.
    const isCompute = (at: number): boolean => /@compute\b[^;{}]*$/.test(plain.slice(Math.max(0, at - 300), at));
    return [...plain.matchAll(/\bfn\s+(\w+)/g)].filter(({ index }) => isCompute(index)).map(([, name = '']) => name);
  },
} as const;

/** A buffer that a WGSL source declares. */
export interface WgslBinding {
  group: number;
  binding: number;
  space: 'storage' | 'uniform';
  isWritable: boolean;
  type: string;
}

export function wgslBindings(source: string): WgslBinding[] {
  const declared = withoutComments(source).matchAll(
    /((?:@\w{1,40}\s{0,9}\(\s{0,9}\w{1,40}\s{0,9}\)\s{0,99}){1,4})var\s*<\s*(storage|uniform)\b([^<>;]{0,60})>\s*\w+\s*:\s*([^;]{1,200});/g,
  );
  return [...declared].map(([, attributes = '', space, access = '', type = '']) => {
    const attribute = (name: string): number =>
      Number(new RegExp(`@${name}\\s*\\(\\s*(\\d{1,6})`).exec(attributes)?.[1] ?? Number.NaN);
    return {
      group: attribute('group'),
      binding: attribute('binding'),
      space: space as WgslBinding['space'],
      isWritable: /\bread_write\b/.test(access),
      type,
    };
  });
}
