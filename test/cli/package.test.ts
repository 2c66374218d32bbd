import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { productVersion } from '../../src/protocol/version.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);
// npm may itself run on an older Node; what it starts finds this one first.
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` };
const workflow = { workflow: 'packed', steps: [{ id: 'a', type: 'mock_compute', params: { input: 42 } }] };
const useEngine = `
  const engine = new DistributedEngine({ dataDir: false });
  engine.execute(${JSON.stringify(workflow)}).then(async (result) => {
    console.log(JSON.stringify(result.outputs.a.result));
    await engine.close();
  });`;

it('the packed package works in an empty folder: require, import, npx, types', { timeout: 300_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jsonflow-package-'));
  try {
    await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root, env });
    const [tarball = ''] = await readdir(folder);
    assert.match(tarball, /\.tgz$/);
    const app = join(folder, 'app');
    await mkdir(app);
    await writeFile(join(app, 'package.json'), '{ "name": "app", "version": "1.0.0", "private": true }');
    await run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball)], {
      cwd: app,
      env,
    });

    const files: Record<string, string> = {
      'require.cjs': `const { DistributedEngine, verifyBundle, JSONFlowError } = require('jsonflow');
        if (typeof verifyBundle !== 'function' || typeof JSONFlowError !== 'function') throw new Error('exports');${useEngine}`,
      'door.cjs': `const { DistributedEngine } = require('jsonflow/distributed-engine.js');${useEngine}`,
      'wasm.cjs': `const { WASMAdapter, WASMValidator } = require('jsonflow/wasm-adapter.js');
        const { DistributedEngine } = require('jsonflow/distributed-engine.js');
        const engine = new DistributedEngine({ dataDir: false });
        engine.registerAdapter(new WASMAdapter({ module_cache_size: 100, memory_limit_mb: 1024 }));
        const params = { module: 'crypto_hash.wasm', function: 'sha256', args: { data: 'abc' } };
        engine.execute({ workflow: 'w', steps: [{ id: 'a', type: 'wasm_execute', params }] }).then(async (result) => {
          const isValid = await WASMValidator.validate(require.resolve('jsonflow/package.json').replace('package.json', 'modules/crypto_hash.wasm'));
          const right = result.outputs.a.result.startsWith('ba7816bf');
          console.log(isValid && right ? 42 : JSON.stringify(result));
          await engine.close();
        });`,
      // Large enough for a thread and the kernel, which lies beside the code.
      'quantum.cjs': `const { QuantumAdapter } = require('jsonflow/quantum-adapter.js');
        const { DistributedEngine } = require('jsonflow/distributed-engine.js');
        const engine = new DistributedEngine({ dataDir: false });
        engine.registerAdapter(new QuantumAdapter({ backend: 'qasm_simulator', max_qubits: 18 }));
        const params = { circuit_type: 'random', qubits: 18, depth: 3, shots: 7 };
        engine.execute({ workflow: 'w', steps: [{ id: 'a', type: 'quantum_circuit', params }] }).then(async (result) => {
          const { counts, backend_info } = result.outputs.a;
          const shots = Object.values(counts).reduce((sum, count) => sum + count, 0);
          console.log(shots === 7 && backend_info.qubits === 18 ? 42 : JSON.stringify(result));
          await engine.close();
        });`,
      'import.mjs': `import { DistributedEngine } from 'jsonflow';${useEngine}`,
    };
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(app, name), text);
      const { stdout, stderr } = await run(process.execPath, [name], { cwd: app, env });
      assert.equal(stdout, '42\n', name);
      assert.equal(stderr, '', name);
    }

    const { stdout } = await run('npx', ['--no-install', 'jsonflow', '--version'], { cwd: app, env });
    assert.equal(stdout, `${productVersion}\n`);
    await writeFile(join(app, 'packed.json'), JSON.stringify(workflow));
    const ran = await run('npx', ['--no-install', 'jsonflow', 'run', 'packed.json', '--json'], { cwd: app, env });
    assert.equal(JSON.parse(ran.stdout).status, 'completed');

    await writeFile(
      join(app, 'typed.mts'),
      `import { DistributedEngine, type DistributedResult } from 'jsonflow';
       const result: Promise<DistributedResult> = new DistributedEngine({ dataDir: false }).execute({});
       // @ts-expect-error: a result has no such field
       result.then((done) => done.nothing);\n`,
    );
    const compiler = join(root, 'node_modules', 'typescript-native', 'bin', 'tsc');
    const types = join(root, 'node_modules', '@types');
    const flags = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--types',
      'node',
      '--typeRoots',
      types,
    ];
    await run(process.execPath, [compiler, ...flags, 'typed.mts'], { cwd: app, env });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
