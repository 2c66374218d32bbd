import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { gpuLabels, gpuResources, type Probe, probeDevices } from './devices.ts';

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

/** What a process is told of its devices, each time it asks, in which the driver of CUDA is this file. */
function probesWith(libcuda: Uint8Array, times: number): Probe[] {
  const folder = mkdtempSync(join(tmpdir(), 'jsonflow-driver-'));
  try {
    writeFileSync(join(folder, 'libcuda.so.1'), libcuda);
    const paths = [folder, process.env.LD_LIBRARY_PATH ?? ''].filter(Boolean).join(delimiter);
    const module = new URL('./devices.ts', import.meta.url).href;
    const source = `import { probeDevices } from ${JSON.stringify(module)};
      const probes = [];
      for (let time = 0; time < ${times}; time += 1) probes.push(await probeDevices());
      console.log(JSON.stringify(probes));`;
    const env = { ...process.env, LD_LIBRARY_PATH: paths };
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { env, encoding: 'utf8' });
    return JSON.parse(stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const isLinux = process.platform === 'linux';

test('a driver that is broken hides no other device', { skip: !isLinux }, async () => {
  const [probe] = probesWith(Buffer.from('no library'), 1);
  assert.match(probe?.reasons.cuda ?? '', /the CUDA driver can't be loaded/);
  assert.deepEqual(
    probe?.devices.filter(({ kind }) => kind === 'opencl'),
    (await probeDevices()).devices.filter(({ kind }) => kind === 'opencl'),
  );
});

test('a driver that crashes is asked again, and no more than three times', { skip: !isLinux }, () => {
  // Its second half is missing: whoever loads it is ended by the system.
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  const library = readFileSync(sharedObjects.find((path) => /\/libm\.so/.test(path)) ?? '');
  const probes = probesWith(library.subarray(0, 8192), 4);
  for (const { reasons } of probes) assert.match(reasons.cuda ?? '', /crashed or did not answer/);
  assert.deepEqual(
    probes.map(({ silent }) => silent),
    [['cuda'], ['cuda'], undefined, undefined],
  );
});
