import { pruneStore } from '../../compose/prune.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit, UsageError } from '../exit.ts';
import type { Terminal } from '../terminal.ts';
import { jsonText } from './shared.ts';

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `jsonflow prune` */
export async function prune(args: Args, terminal: Terminal): Promise<ExitCode> {
  const before = Date.now() - durationOf(args.get('older-than'));
  const dryRun = args.has('dry-run');
  const report = await pruneStore(args.get('data-dir') ?? '.jsonflow', { before, dryRun });
  if (args.has('json')) terminal.out(jsonText({ ...report, dry_run: dryRun }));
  else {
    const { runs, blobs, bytes } = report;
    const what = `${runs} runs that ended before ${new Date(before).toISOString()}, and ${blobs} blobs (${(bytes / 1e6).toFixed(1)} MB) that no other run names`;
    terminal.out(dryRun ? `There are ${what}.\n` : `Deleted ${what}.\n`);
  }
  return exit.ok;
}

/** Ms of a text such as 30d. */
function durationOf(text: string | undefined): number {
  const [, amount, unit = ''] = /^(\d{1,6})([smhdw])$/.exec(text ?? '') ?? [];
  if (amount !== undefined) return Number(amount) * (unitMs[unit] ?? 0);
  throw new UsageError(
    text === undefined ? 'it is not said which runs may go' : `--older-than ${JSON.stringify(text)} is no time`,
    'Say how long ago they ended, such as --older-than 30d (s, m, h, d or w).',
  );
}
