import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { validateWorkflow } from '../../src/compose/offline.ts';
import { Sandbox } from './sandbox.ts';

const examples = new URL('../../examples/', import.meta.url);
const path = (name: string): string => fileURLToPath(new URL(name, examples));

/** How each example is run, its exit code, and what it prints. A file that is missing here fails the last test. */
const runs: Record<string, [command: string, code: number, output: RegExp]> = {
  'hello.json': ['jsonflow run FILE --input name=Ada', 0, /"Hello, Ada! Hello, Ada!"/],
  'fan-out.json': ['jsonflow run FILE', 0, /report: \{"result":\{"total":500,"best":200\}\}/],
  'retry.json': ['jsonflow run FILE', 1, /1 failed, 1 skipped, 2 retries\nCause: step slow: STEP_TIMEOUT/],
  'database.json': [
    'jsonflow run FILE',
    0,
    /balances: \{"rows":\[\{"name":"Ada","balance":70\},\{"name":"Bo","balance":30\}\]/,
  ],
  'etl.json': [
    `jsonflow run FILE --input @${path('data/orders.json')} --json`,
    0,
    /"country": "Japan",\s+"orders": 2,\s+"revenue": 157.48/,
  ],
  'wasm.json': ['jsonflow run FILE', 0, /digest: \{"result":"[0-9a-f]{64}"/],
  'quantum.json': ['jsonflow run FILE', 0, /hydrogen: \{"algorithm":"vqe","qubits":2,"best_energy":-1\.13730603/],
  'federated.json': ['jsonflow run FILE', 0, /report: \{"result":\[\{"round":1,"accuracy":0\.\d/],
  'embed.mjs': ['node FILE', 0, /France.*160\.4[\s\S]*replayed: 4 of 4/],
  'embed.cjs': ['node FILE', 0, /^Hello, Ada! Hello, Ada!$/m],
  // Its process has nothing to do but to wait for the second attempt: it must not end meanwhile.
  'custom-adapter.mjs': ['node FILE', 0, /loud, attempt 1: BUSY busy\nANYONE THERE! \(1 retry\)/],
};

for (const [name, [command, expectedCode, output]] of Object.entries(runs)) {
  it(`examples/${name}`, { timeout: 30_000 }, async () => {
    const sandbox = await Sandbox.create();
    try {
      const { code, out, err } = await sandbox.run(command.replace('FILE', `'${path(name)}'`));
      assert.equal(code, expectedCode, out + err);
      assert.match(out, output);
    } finally {
      await sandbox.close();
    }
  });
}

it('every example is run, and every workflow among them is valid', async () => {
  const files = (await readdir(examples, { withFileTypes: true })).filter((entry) => entry.isFile());
  assert.deepEqual(files.map(({ name }) => name).sort(), Object.keys(runs).sort());
  for (const name of [...Object.keys(runs).filter((file) => file.endsWith('.json')), 'demo/workflow.json'])
    assert.deepEqual(validateWorkflow(await readFile(new URL(name, examples), 'utf8')).problems, [], name);
});
