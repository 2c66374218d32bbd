import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type Bug, bugs } from './bugs.ts';

const root = new URL('../', import.meta.url);

/**
 * Plants a known bug: from here on the file that it is in loads changed. Nothing is written. To be called before anything of
 * `src/` is imported.
 * @throws RangeError where there is no such bug, or where its place is no longer what it was: then the list needs mending
 */
export function plant(name: string): void {
  const bug = bugs.find((one) => one.name === name);
  if (bug === undefined)
    throw new RangeError(`no bug "${name}"; there are:\n${bugs.map((one) => `  ${one.name}: ${one.why}`).join('\n')}`);
  const url = new URL(bug.file, root).href;
  const source = sabotaged(bug);
  registerHooks({
    load(loaded, context, next) {
      if (loaded !== url) return next(loaded, context);
      return { format: 'module', source: stripTypeScriptTypes(source), shortCircuit: true };
    },
  });
}

/** The bug's file with the bug in it. @throws RangeError where the text to replace is not there exactly once */
export function sabotaged({ name, file, find, replace }: Bug): string {
  const source = readFileSync(fileURLToPath(new URL(file, root)), 'utf8');
  const places = source.split(find).length - 1;
  if (places !== 1)
    throw new RangeError(`bug "${name}": ${file} has the text to replace ${places} times, not once; mend sim/bugs.ts`);
  return source.replace(find, () => replace);
}
