import { dirname } from 'node:path';
import { limits } from '../../protocol/limits.ts';
import type { Bundle } from '../../protocol/receipt.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit } from '../exit.ts';
import { readJSON } from '../input.ts';
import { paint, paintOut, printable, type Terminal } from '../terminal.ts';
import { jsonText } from './shared.ts';

/** `jsonflow replay` */
export async function replay(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [file = '-'] = args.positionals;
  const bundle = await readJSON(file, terminal, limits.bundleDepthMax);
  const { DistributedEngine } = await import('../../compose/distributed-engine.ts');
  const engine = new DistributedEngine({
    role: 'coordinator',
    dataDir: false,
    assets: [...args.all('assets'), ...(file === '-' ? [] : [dirname(file)])],
  });
  await engine.start();
  try {
    // The engine checks the form itself: this is foreign data.
    const report = await engine.replay(bundle as unknown as Bundle);
    if (args.has('json')) terminal.out(jsonText(report));
    else {
      for (const { step_id: step, status, detail } of report.steps)
        terminal.out(`${marks[status] ?? status} ${step}  ${printable(detail)}\n`);
      if (report.verified && report.same === 0)
        terminal.out('Nothing could be repeated here: see the reasons above.\n');
      else if (report.verified) terminal.out(`${paintOut('green', 'The same again.')}\n`);
      else terminal.err(`${paint('red', 'The results differ.')}\nSee the steps marked above.\n`);
    }
    return report.verified ? exit.ok : exit.verificationFailed;
  } finally {
    await engine.close();
  }
}

const marks: Readonly<Record<string, string>> = { same: '✔', different: '✘', skipped: '–' };
