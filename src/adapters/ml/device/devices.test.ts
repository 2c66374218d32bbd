import assert from 'node:assert/strict';
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
