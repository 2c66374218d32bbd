// What is read from the text of CUDA kernels: their names and parameters.

interface KernelParam {
  text: string;
  isPointer: boolean;
}

export interface KernelHead {
  name: string;
  params: KernelParam[];
  /** Where the parameters begin and end in the source, without the parentheses. */
  from: number;
  to: number;
}

/** Comments as spaces, so that every place and line stays what it is. */
export const withoutComments = (source: string): string =>
  source.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"/g, (found) =>
    found.startsWith('"') ? found : found.replace(/[^\n]/g, ' '),
  );

/** The kernels of a source without comments. */
export function kernelsOf(source: string): KernelHead[] {
  const heads: KernelHead[] = [];
  // Blank, so that it is not taken for the name; places stay.
  const plain = source.replace(/__launch_bounds__\s*\([^)]*\)/g, (found) => found.replace(/[^\n]/g, ' '));
  for (const match of plain.matchAll(/__global__\s+[^(){};]*?\b(\w+)\s*\(/g)) {
    const from = match.index + match[0].length;
    const to = closing(source, from);
    if (to === undefined || match[1] === undefined) continue;
    heads.push({ name: match[1], params: paramsOf(source.slice(from, to)), from, to });
  }
  return heads;
}

/** Where the parenthesis that is open at a place closes. */
function closing(source: string, from: number): number | undefined {
  let depth = 1;
  for (let at = from; at < source.length; at += 1) {
    if (source[at] === '(') depth += 1;
    if (source[at] === ')') depth -= 1;
    if (depth === 0) return at;
  }
  return undefined;
}

function paramsOf(text: string): KernelParam[] {
  if (/^\s*(void)?\s*$/.test(text)) return [];
  return text.split(',').map((param) => ({ text: param.trim(), isPointer: /[*[]/.test(param) }));
}
