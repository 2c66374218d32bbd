import { createHash } from 'node:crypto';
import type { Policy } from '../../../../src/adapters/wasm/types.ts';
import { readScripts, type Script } from './archive.ts';
import { type Outcome, World } from './world.ts';

export const policy: Policy = {
  memoryPagesMax: 65_536,
  tableElementsMax: 10_000_000,
  callDepthMax: 4_000,
  canonicalNaN: true,
};

/** All that a rewritten run shows, fuel included, as one text; and all fuel. */
export function digestOf(runs: readonly Outcome[][]): { digest: string; fuel: bigint } {
  const hash = createHash('sha256');
  let fuel = 0n;
  for (const outcomes of runs)
    for (const outcome of outcomes) {
      hash.update(`${outcome.verdict} ${outcome.seen} ${outcome.fuel}\n`);
      fuel += outcome.fuel;
    }
  return { digest: hash.digest('hex'), fuel };
}

export const runMetered = (scripts: readonly Script[]): Outcome[][] =>
  scripts.map((script) => new World(script, policy).run());

// As a program: for another configuration of the engine.
if (import.meta.main) {
  const { digest, fuel } = digestOf(runMetered(readScripts()));
  console.log(`${digest} ${fuel}`);
}
