// Installs what the lock file names when it is missing or out of date. Plain JavaScript: it runs on any Node.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const installed = join(root, 'node_modules', '.package-lock.json');
const locked = join(root, 'package-lock.json');

if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(locked).mtimeMs) {
  console.error('Installing dependencies …');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // Not `npm ci`: it refuses a lock file that lacks optional packages of other platforms, which a registry need not have.
  const install = ['install', '--no-save', '--loglevel=error', '--no-fund', '--no-audit'];
  const { status } = spawnSync(npm, install, {
    cwd: root,
    // ONNX Runtime would download its CUDA libraries from elsewhere, and fail without; an npm that knows `allowScripts` runs no such script.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
    // Standard output belongs to the command that asked for the set-up.
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error('npm install failed. Check the network and the registry setting, then run the command again.');
    process.exit(status ?? 1);
  }
}

// So that `npx jsonflow` finds the command of this checkout, as it would in a project that has the package installed.
const link = join(root, 'node_modules', '.bin', 'jsonflow');
if (process.platform !== 'win32' && !existsSync(link)) symlinkSync('../../bin/jsonflow.js', link);
