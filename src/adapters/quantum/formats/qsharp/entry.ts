import { StepError } from '../../../../lib/errors.ts';

const file = 'main';

/**
 * The files of a program that begins with an operation of the source instead of its own entry point. It is named as the source names it, with
 * its arguments where it has parameters: `Bell`, `Demo.Rotate(0.5, 3)`.
 *
 * @throws StepError INVALID_PARAMS
 */
export function filesOf(source: string, operation: string | undefined): [name: string, text: string][] {
  if (operation === undefined) return [[`${file}.qs`, source]];
  const [, name = '', args = '()'] = /^([A-Za-z_][\w.]*)\s*(\([\s\S]*\))?$/.exec(operation.trim()) ?? [];
  if (name === '')
    throw new StepError(
      'INVALID_PARAMS',
      `qsharp_operation: ${JSON.stringify(operation.slice(0, 80))} is no operation, such as "Bell" or "Rotate(0.5)"`,
    );
  const code = withoutComments(source);
  const { namespace, type } = found(code, name);
  const entry = `@EntryPoint() operation JSONFlowEntry() : ${type} { ${namespace}.${name.split('.').at(-1)}${args} }`;
  // There is one entry point, and it is not the source's.
  const others = blank(code, source, /@EntryPoint\s*\([^)]*\)/g);
  return [
    [`${file}.qs`, others],
    ['jsonflow_entry.qs', `namespace JSONFlowEntry { ${entry} }`],
  ];
}

function found(code: string, name: string): { namespace: string; type: string } {
  const simple = name.split('.').at(-1) ?? '';
  const wanted = name.includes('.') ? name.slice(0, -simple.length - 1) : undefined;
  for (const match of code.matchAll(new RegExp(`\\boperation\\s+${simple}\\b`, 'g'))) {
    const namespace = [...code.slice(0, match.index).matchAll(/\bnamespace\s+([\w.]+)\s*\{/g)].at(-1)?.[1] ?? file;
    if (wanted !== undefined && wanted !== namespace) continue;
    const type = /^[\s\S]*?\)\s*:\s*([^{]+?)\s*(?:\bis\b[^{]*)?\{/.exec(code.slice(match.index))?.[1];
    if (type !== undefined) return { namespace, type };
  }
  throw new StepError('INVALID_PARAMS', `qsharp_operation: the Q# program has no operation ${name}`);
}

/** The code with its comments and texts as spaces, so that what is found stands where it stands. */
const withoutComments = (source: string): string =>
  source.replace(/\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"/g, (match) => ' '.repeat(match.length));

/** The source with what the pattern finds in the code as spaces. */
function blank(code: string, source: string, pattern: RegExp): string {
  let text = source;
  for (const { index, 0: match } of code.matchAll(pattern))
    text = text.slice(0, index) + ' '.repeat(match.length) + text.slice(index + match.length);
  return text;
}
