import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsOf } from './needs.ts';

const needs = (device: string) => needsOf({ id: 's', type: 'ml_infer', params: { device } });

test('a step that names a GPU reserves it, so that it is placed where there is one', () => {
  for (const device of ['gpu', 'cuda', 'cuda:1']) assert.deepEqual(needs(device), { gpu: 1 }, device);
  for (const device of ['auto', 'cpu', 'opencl:0', 'webgpu', '$input.device'])
    assert.deepEqual(needs(device), {}, device);
  assert.deepEqual(needsOf({ id: 's', type: 'ml_infer', params: {} }), {});
  assert.deepEqual(needsOf({ id: 's', type: 'ml_mine', params: { device: 'gpu' } }), {}, "another adapter's step");
});
