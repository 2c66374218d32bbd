import { parseArgs } from 'node:util';

const help = `node sim/main.ts [options]

  --seeds N     how many seeds to run (default 500; SIM_SEEDS overrides)
  --from N      the first of them (default 1)
  --seed N      this one alone
  --verbose     print the whole log
  --once        run each seed once; without it each runs twice, and both logs must be equal
  --bug NAME    plant a bug first (see sim/bugs.ts); --bug list names them
  --keep-going  do not stop at the first seed that fails
  --json        print a summary as JSON on the last line
`;

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: process.env.SIM_SEEDS ?? '500' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    once: { type: 'boolean', default: false },
    bug: { type: 'string' },
    'keep-going': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  console.log(help);
  process.exit(0);
}
if (options.bug !== undefined) {
  const { plant } = await import('./plant.ts');
  plant(options.bug);
}
// Loaded only now, so that a planted bug is in.
const { runSeeds } = await import('./run-seeds.ts');
const first = Number(options.seed ?? options.from);
const count = options.seed === undefined ? Number(options.seeds) : 1;
const summary = await runSeeds({
  first,
  count,
  twice: !options.once,
  keepGoing: options['keep-going'],
  verbose: options.verbose,
  bug: options.bug,
});
if (options.json) console.log(JSON.stringify(summary));
process.exitCode = summary.failed.length === 0 ? 0 : 1;
