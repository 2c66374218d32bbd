// The official test suite, each module rewritten with fuel, depth and canonical NaNs, and as it is, to compare with. See spec/README.md.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readScripts } from './spec/archive.ts';
import { digestOf, runMetered } from './spec/suite.ts';
import { World } from './spec/world.ts';

const scripts = readScripts();
const metered = runMetered(scripts);
const suite = fileURLToPath(new URL('spec/suite.ts', import.meta.url));

const inFile = (file: string, lines: readonly number[]): string[] => lines.map((line) => `${file}.wast:${line}`);

/** What can't pass as it is run here. */
const exceptions = [
  // Functions of an instance that failed as it began, left in a table of another: nobody can give that instance fuel, so they stop.
  ...inFile('2.0/linking', [275, 288]),
  ...inFile('3.0/linking', [410, 423]),
  // They read what a module with several memories should have written, which is refused.
  ...inFile('3.0/multi-memory/load1', [25, 26, 27, 28, 29]),
  ...inFile('3.0/multi-memory/linking0', [42]),
  // Invalid in release 2.0 and valid in 3.0, by which the engine goes: constants that read a global of the module itself.
  ...inFile('2.0/data', [89, 93]),
  ...inFile('2.0/elem', [171, 175]),
  ...inFile('2.0/global', [352, 356]),
  // Negation flips the sign of a NaN, so that it isn't the one that arithmetic gives.
  ...inFile('3.0/simd/simd_f64x2_arith', [5297]),
];

it('all of the official tests within the profile pass when rewritten', () => {
  const failed = new Map<string, string>();
  const counts = { passed: 0, assertions: 0, skipped: 0 };
  let skippedOutsideFolders = 0;
  const outside = /^3\.0\/(exceptions|gc|memory64|multi-memory|relaxed-simd)\//;
  for (const [index, { file, commands }] of scripts.entries())
    for (const [number, { line, type }] of commands.entries()) {
      const outcome = metered[index]?.[number];
      assert.ok(outcome);
      if (outcome.verdict === 'failed') failed.set(`${file}:${line}`, outcome.seen);
      else counts[outcome.verdict] += 1;
      if (outcome.verdict === 'passed' && type.startsWith('assert')) counts.assertions += 1;
      if (outcome.verdict === 'skipped' && !outside.test(file)) skippedOutsideFolders += 1;
    }
  assert.deepEqual([...failed.keys()].toSorted(), exceptions.toSorted(), JSON.stringify([...failed]));
  // Whatever is refused more, or less, than before is seen here. Skipped: modules with features outside the profile, and what needs them.
  assert.deepEqual(counts, { passed: 61_050, assertions: 58_762, skipped: 4_624 });
  assert.equal(skippedOutsideFolders, 603);
});

it('results, traps and their kinds are those of the modules as they are', () => {
  let compared = 0;
  for (const [index, script] of scripts.entries()) {
    const plain = new World(script).run();
    for (const [number, command] of script.commands.entries()) {
      const [original, rewritten] = [plain[number], metered[index]?.[number]];
      const at = `${script.file}:${command.line}`;
      if (rewritten?.verdict !== 'passed') continue;
      assert.equal(original?.verdict, 'passed', `${at}: ${original?.seen}`);
      // Texts of errors in linking name maxima, which are others; where a script allows several NaNs, each may be one of them.
      const open = original?.seen.startsWith('LinkError') || JSON.stringify(command.expected ?? '').includes('nan:');
      if (open) continue;
      assert.equal(rewritten.seen, original?.seen, at);
      compared += 1;
    }
  }
  assert.ok(compared > 50_000, String(compared));
});

it('the fuel of all tests is a known number, the same in every tier of the engine', () => {
  const { digest, fuel } = digestOf(metered);
  // Another number means that modules are charged otherwise: `meterVersion` must change with it.
  assert.equal(fuel, 5_398_804_792n);
  // The baseline compiler alone; in the long mode also the optimizing one alone, and both with all functions compiled ahead.
  const tiers = [['--liftoff', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']];
  if (process.env.JSONFLOW_LONG === '1')
    tiers.push(['--no-liftoff'], ['--no-wasm-lazy-compilation'], ['--no-wasm-lazy-compilation', '--no-liftoff']);
  for (const flags of tiers) {
    const told = execFileSync(process.execPath, [...flags, suite], { encoding: 'utf8' }).trim();
    assert.equal(told, `${digest} ${fuel}`, flags.join(' '));
  }
});
