// Every static check, in order of speed: format and lint, types, import layers and cycles, dead exports.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);

const checks: Record<string, [command: string, ...args: string[]]> = {
  'format and lint': [bin('biome'), 'check', '--error-on-warnings', '.'],
  types: [process.execPath, join(root, 'node_modules', 'typescript-native', 'bin', 'tsc'), '-p', 'tsconfig.json'],
  layers: [process.execPath, 'scripts/layers.ts'],
  'dead exports': [bin('knip')],
};

const failed: string[] = [];
for (const [name, [command, ...args]] of Object.entries(checks)) {
  console.log(`— ${name}`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(', ')}`);
  process.exit(1);
}
console.log('\nAll checks passed.');
