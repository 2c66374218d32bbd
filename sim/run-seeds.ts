import { createHash } from 'node:crypto';
import { runSeed, type SeedResult } from './seed.ts';
import { Lab } from './world.ts';

export interface RunOptions {
  first: number;
  count: number;
  /** Each seed twice: the logs must be equal. */
  twice: boolean;
  keepGoing: boolean;
  verbose: boolean;
  bug: string | undefined;
}

export interface Summary {
  seeds: number;
  /** Seeds that failed, with the promise that was broken. */
  failed: { seed: number; check: string; what: string }[];
  events: number;
  /** SHA-256 over the logs of all seeds: equal on every machine and in every process. */
  hash: string;
}

const linesShown = 60;

/** Runs seeds one after the other, and prints what a reader needs to repeat a failure. */
export async function runSeeds(options: RunOptions): Promise<Summary> {
  const lab = new Lab();
  const hash = createHash('sha256');
  const summary: Summary = { seeds: 0, failed: [], events: 0, hash: '' };
  const started = performance.now();
  for (let seed = options.first; seed < options.first + options.count; seed++) {
    const result = await runSeed(seed, lab);
    const again = options.twice ? await runSeed(seed, lab) : undefined;
    if (again !== undefined && again.hash !== result.hash) result.violations.push(divergence(result, again));
    summary.seeds += 1;
    summary.events += result.events;
    hash.update(result.hash);
    if (options.verbose) for (const line of result.lines) console.log(line);
    const [violation] = result.violations;
    if (violation === undefined) continue;
    summary.failed.push({ seed, check: violation.check, what: violation.what });
    printFailure(result, options);
    if (!options.keepGoing) break;
  }
  summary.hash = hash.digest('hex');
  const seconds = (performance.now() - started) / 1000;
  const rate = Math.round(summary.seeds / seconds);
  console.log(
    `${summary.seeds} seeds${options.twice ? ', each twice' : ''}, ${summary.events} events, ${summary.failed.length} failed; ` +
      `${seconds.toFixed(1)} s, ${rate} seeds/s`,
  );
  return summary;
}

function printFailure({ seed, violations, lines }: SeedResult, { verbose, bug }: RunOptions): void {
  if (!verbose) for (const line of lines.slice(-linesShown)) console.log(`  ${line}`);
  for (const { check, what } of violations) console.log(`seed ${seed} broke "${check}": ${what}`);
  console.log(`repeat: node sim/main.ts --seed ${seed} --verbose${bug === undefined ? '' : ` --bug ${bug}`}\n`);
}

function divergence(first: SeedResult, second: SeedResult): SeedResult['violations'][number] {
  const index = first.lines.findIndex((line, at) => line !== second.lines[at]);
  const what = `line ${index + 1} was "${first.lines[index]}", then "${second.lines[index]}"`;
  return { check: 'a seed repeats exactly', what, at: first.elapsed };
}
