// Builds `dist/` for publishing: Node strips no types below node_modules, so a package carries JavaScript.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
const compiler = join(root, 'node_modules', 'typescript-native', 'bin', 'tsc');
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (status !== 0) {
  // Half a build would be published as a whole one.
  rmSync(dist, { recursive: true, force: true });
  console.error('\nThe build failed: correct the errors above and run "npm run build" again.');
  process.exit(1);
}
// What is read beside the code, and is no TypeScript.
const kernel = join('adapters', 'quantum', 'statevector', 'kernel');
mkdirSync(join(dist, kernel), { recursive: true });
for (const file of readdirSync(join(root, 'src', kernel)).filter((name) => name.endsWith('.wasm')))
  copyFileSync(join(root, 'src', kernel, file), join(dist, kernel, file));
for (const file of [
  'index.js',
  'index.d.ts',
  'cli/main.js',
  'doors/distributed-engine.js',
  'doors/quantum-adapter.js',
  'doors/wasm-adapter.js',
])
  if (!existsSync(join(dist, file))) {
    console.error(`The build lacks dist/${file}: tsconfig.build.json does not include its source.`);
    process.exit(1);
  }
console.error('Built dist/.');
