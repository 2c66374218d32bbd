// Builds the state vector's kernel from its sources in src/adapters/quantum/statevector/kernel/, with the pinned compiler of npm.
//
//   node scripts/quantum-kernel.ts            writes strict.wasm and relaxed.wasm beside the sources
//   node scripts/quantum-kernel.ts --check    compares what the sources give with what is there; writes nothing
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../src/adapters/quantum/statevector/kernel/', import.meta.url));
const compiler = join(dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')), 'bin', 'asc.js');
const builds = { 'strict.wasm': 'RELAXED=0', 'relaxed.wasm': 'RELAXED=1' };
const features = ['simd', 'relaxed-simd', 'threads', 'bulk-memory'].flatMap((feature) => ['--enable', feature]);
const memory = [
  '--importMemory',
  '--noExportMemory',
  '--sharedMemory',
  '--initialMemory',
  '1',
  '--maximumMemory',
  '65536',
];
const speed = ['--optimizeLevel', '3', '--shrinkLevel', '0', '--noAssert', '--converge', '--runtime', 'stub'];

/** The sources are named otherwise, so that nobody takes them for TypeScript. */
function build(constant: string): Buffer {
  const work = mkdtempSync(join(tmpdir(), 'quantum-kernel-'));
  try {
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.as')))
      copyFileSync(join(folder, file), join(work, file.replace(/as$/, 'ts')));
    const args = [compiler, 'kernel.ts', '-o', 'kernel.wasm', '--use', constant, ...features, ...memory, ...speed];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: work, encoding: 'utf8', timeout: 120_000 });
    if (status !== 0) throw new Error(`the compiler ended with ${status}: ${stderr.slice(0, 4_000)}`);
    return readFileSync(join(work, 'kernel.wasm'));
  } finally {
    rmSync(work, { recursive: true });
  }
}

for (const [file, constant] of Object.entries(builds)) {
  const bytes = build(constant);
  if (!process.argv.includes('--check')) writeFileSync(join(folder, file), bytes);
  else if (!bytes.equals(readFileSync(join(folder, file)))) {
    console.error(`WRONG: ${file} is not what the sources give; run node scripts/quantum-kernel.ts`);
    process.exitCode = 1;
    continue;
  }
  console.log(`${file}: ${bytes.length} bytes`);
}
