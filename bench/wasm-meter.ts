// How fast modules of WebAssembly are rewritten. What the meters cost as modules run: wasm-kernels.
// Options: --module FILE (any number)
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readModule } from '../src/adapters/wasm/binary/read-module.ts';
import { shapeOf } from '../src/adapters/wasm/binary/shape.ts';
import { meter } from '../src/adapters/wasm/meter/meter.ts';
import { policyLimits } from '../src/adapters/wasm/policy.ts';
import type { Policy } from '../src/adapters/wasm/types.ts';

const rounds = 7;
const policy: Policy = { ...policyLimits, memoryPagesMax: 65_536, canonicalNaN: true };
const folder = fileURLToPath(new URL('../modules/', import.meta.url));
const { values } = parseArgs({ options: { module: { type: 'string', multiple: true, default: [] } } });
const given = values.module;
const files =
  given.length > 0
    ? given
    : readdirSync(folder).flatMap((name) => (name.endsWith('.wasm') ? [`${folder}${name}`] : []));

/** ms of CPU, the median of rounds behind one that warms up; short work is repeated to last long enough. */
function cpuOf(body: () => unknown): number {
  const times: number[] = [];
  let repeats = 1;
  for (let round = 0; round <= rounds; ) {
    const began = process.cpuUsage();
    for (let each = 0; each < repeats; each += 1) body();
    const { user, system } = process.cpuUsage(began);
    const ms = (user + system) / 1_000;
    if (ms < 20) repeats *= 4;
    else {
      if (round > 0) times.push(ms / repeats);
      round += 1;
    }
  }
  return times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN;
}

console.log(`Node ${process.version}; ms of CPU, median of ${rounds}`);
for (const file of files) {
  const bytes = new Uint8Array(readFileSync(file));
  const rate = (ms: number): string => `${ms.toFixed(2)} ms, ${(bytes.length / 1e3 / ms).toFixed(1)} MB/s`;
  console.log(`${basename(file)}, ${bytes.length} bytes`);
  console.log(`  read:                  ${rate(cpuOf(() => shapeOf(readModule(bytes))))}`);
  for (const canonicalNaN of [false, true]) {
    const metered = (): Uint8Array => meter(bytes, { ...policy, canonicalNaN }).bytes;
    const what = canonicalNaN ? 'rewrite, NaN:         ' : 'rewrite:              ';
    console.log(`  ${what} ${rate(cpuOf(metered))}, ${(metered().length / bytes.length).toFixed(2)}× the size`);
  }
}
