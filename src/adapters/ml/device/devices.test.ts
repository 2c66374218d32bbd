import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { gpuLabels, gpuResources, probeDevices } from './devices.ts';

test('a node offers the GPUs that were found, and no processor as one', async () => {
  const { devices } = await probeDevices();
  assert.equal(devices.at(-1)?.id, 'cpu');
  const gpus = devices.filter(({ isGpu }) => isGpu);
  const [first] = gpus;
  if (first === undefined) return assert.deepEqual([gpuResources(), gpuLabels()], [{}, {}]);
  const once = gpus.filter(({ kind }) => kind === first.kind);
  assert.equal(gpuResources().gpu, once.length);
  assert.ok(gpuLabels().gpu?.includes(first.name));
});

test('a driver that is broken hides no other device', { skip: process.platform !== 'linux' }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jsonflow-driver-'));
  try {
    writeFileSync(join(folder, 'libcuda.so.1'), 'no library');
    const paths = [folder, process.env.LD_LIBRARY_PATH ?? ''].filter(Boolean).join(delimiter);
    const module = new URL('./devices.ts', import.meta.url).href;
    const source = `import { probeDevices } from ${JSON.stringify(module)}; console.log(JSON.stringify(await probeDevices()));`;
    const env = { ...process.env, LD_LIBRARY_PATH: paths };
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { env, encoding: 'utf8' });
    const { devices, reasons } = JSON.parse(stdout);
    assert.match(reasons.cuda, /the CUDA driver can't be loaded/);
    assert.deepEqual(
      devices.filter(({ kind }: { kind: string }) => kind === 'opencl'),
      (await probeDevices()).devices.filter(({ kind }) => kind === 'opencl'),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
