import { validateWorkflow } from '../../compose/offline.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit } from '../exit.ts';
import { readText } from '../input.ts';
import { oneLine, type Terminal } from '../terminal.ts';
import { problemLine } from '../view/problem-line.ts';
import { jsonText } from './shared.ts';

/** `jsonflow validate` */
export async function validate(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [file = '-'] = args.positionals;
  const { workflow, problems } = validateWorkflow(await readText(file, terminal));
  const errors = problems.filter(({ severity }) => severity === 'error');
  const valid = workflow !== undefined && errors.length === 0;
  if (args.has('json')) {
    terminal.out(jsonText({ valid, problems }));
    return valid ? exit.ok : exit.usage;
  }
  const name = file === '-' ? 'stdin' : file;
  for (const problem of problems) terminal.err(problemLine(name, problem));
  if (valid) terminal.out(`${name} is valid: ${oneLine(workflow.workflow)}, ${workflow.steps.length} steps.\n`);
  else
    terminal.err(
      `${errors.length} problem${errors.length === 1 ? '' : 's'}. Correct ${errors.length === 1 ? 'it' : 'them'} and validate again.\n`,
    );
  return valid ? exit.ok : exit.usage;
}
