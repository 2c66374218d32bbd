import assert from 'node:assert/strict';
import { it } from 'node:test';
import { StepError } from '../../../lib/errors.ts';
import type { Device, Probe } from '../device/devices.ts';
import { chooseDevice, type Wish } from './choose.ts';

const device = (id: string, isGpu: boolean): Device => ({
  id,
  kind: id.split(':')[0] as Device['kind'],
  name: `name of ${id}`,
  memoryMb: 1024,
  driver: 'a driver',
  isGpu,
});
const probe = (...devices: Device[]): Probe => ({ devices: [...devices, device('cpu', false)], reasons: {} });
const wish = (others: Partial<Wish>): Wish => ({ language: 'cuda', device: undefined, needsGpu: false, ...others });
const refusal = (code: string, text: RegExp) => (thrown: unknown) =>
  thrown instanceof StepError && thrown.code === code && text.test(thrown.message);

const processor = device('opencl:1', false);
const amd = device('opencl:0', true);
const nvidia = device('cuda:0', true);

it('the best device for a step that reserves a GPU: that of the language, or another', () => {
  const needsGpu = true;
  assert.equal(chooseDevice(probe(processor, amd, nvidia), wish({ needsGpu })).id, 'cuda:0');
  assert.equal(chooseDevice(probe(processor, amd), wish({ needsGpu })).id, 'opencl:0');
});

it('a step that neither reserves nor names a GPU runs on a processor, or is told what to do', () => {
  assert.equal(chooseDevice(probe(processor, amd, nvidia), wish({})).id, 'opencl:1');
  assert.equal(chooseDevice(probe(nvidia, processor), wish({ language: 'opencl' })).id, 'opencl:1');
  assert.throws(
    () => chooseDevice(probe(nvidia), wish({})),
    refusal('ML_NO_DEVICE', /no processor here.*"gpu": true.*cuda:0, name of cuda:0/),
  );
});

it('a device is taken by its id or kind', () => {
  const all = probe(nvidia, amd, processor);
  assert.equal(chooseDevice(all, wish({ device: 'opencl:1' })).id, 'opencl:1');
  assert.equal(chooseDevice(all, wish({ device: 'opencl' })).id, 'opencl:0');
  assert.equal(chooseDevice(all, wish({ device: 'gpu' })).id, 'cuda:0');
  assert.equal(chooseDevice(all, wish({ device: 'cpu' })).id, 'opencl:1');
  assert.throws(
    () => chooseDevice(probe(processor), wish({ device: 'gpu' })),
    refusal('ML_NO_GPU', /"gpu" is no device/),
  );
  assert.throws(() => chooseDevice(probe(), wish({ device: 'gpu' })), refusal('ML_NO_GPU', /nothing here runs cuda/));
  assert.throws(
    () => chooseDevice(all, wish({ device: 'cuda:7' })),
    refusal('ML_NO_DEVICE', /cuda:0 \(name of cuda:0\)/),
  );
  assert.throws(
    () => chooseDevice(all, wish({ language: 'opencl', device: 'cuda:0' })),
    refusal('ML_NO_DEVICE', /opencl:0/),
  );
});

it('a step that reserves a GPU gets one or fails', () => {
  assert.equal(chooseDevice(probe(processor, amd), wish({ needsGpu: true })).id, 'opencl:0');
  assert.throws(() => chooseDevice(probe(processor), wish({ needsGpu: true })), refusal('ML_NO_GPU', /processor/));
  assert.throws(() => chooseDevice(probe(), wish({ needsGpu: true })), refusal('ML_NO_GPU', /nothing here runs cuda/));
  const named = wish({ needsGpu: true, device: 'opencl:1' });
  assert.throws(() => chooseDevice(probe(processor, amd), named), refusal('ML_NO_GPU', /processor/));
});

it('where a driver gave no answer, another try may find a device', () => {
  const retryable = (silent: string[]) => {
    try {
      return chooseDevice({ ...probe(), silent }, wish({ language: 'opencl' }));
    } catch (thrown) {
      return (thrown as StepError).retryable;
    }
  };
  assert.deepEqual([retryable(['opencl']), retryable(['webgpu']), retryable([])], [true, false, false]);
});

it('where there is nothing, the reason and the remedy are told', () => {
  const none: Probe = { devices: [], reasons: { webgpu: 'no driver' } };
  assert.throws(
    () => chooseDevice(none, wish({ language: 'wgsl' })),
    refusal('ML_NO_DEVICE', /no driver; install .*Vulkan/),
  );
});
