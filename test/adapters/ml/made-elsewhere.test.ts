// Models as other tools write them: types, operators and outputs that are no floats.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createMlAdapter } from '../../../src/adapters/ml/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { contextFor } from '../../compliance/adapter.ts';

const adapter = createMlAdapter({ egress: createEgress() });
after(() => adapter.close());

/** `b = a + a` of float16, with axes [N, 2]; by onnx 1.20. */
const halves = 'CAg6QQoOCgFhCgFhEgFiIgNBZGQSA2YxNloUCgFhEg8KDQgKEgkKAxIBTgoCCAJiFAoBYhIPCg0IChIJCgMSAU4KAggCQgQKABAR';
/** A logistic regression over the irises, as skl2onnx 1.20 converts it where nothing else is said. */
const irises =
  'CAoSCHNrbDJvbm54GgYxLjIwLjAiB2FpLm9ubngoADIAOuQECowCCgFYEgVsYWJlbBIScHJvYmFiaWxpdHlfdGVuc29yGhBMaW5lYXJDbGFzc2lmaWVyIhBMaW5lYXJDbGFzc2lmaWVyKhsKEGNsYXNzbGFiZWxzX2ludHNAAEABQAKgAQcqTQoMY29lZmZpY2llbnRzPcvn2L49f6N4Pz2H+yDAPbjcib89qaAJPz0gZqO+PZ28Ur49mG1xvz1gZem9PVnwJr89VScuQD3ASQFAoAEGKh4KCmludGVyY2VwdHM9dTsdQT18Jg1APQ6FQMGgAQYqEgoLbXVsdGlfY2xhc3MYAaABAiocCg5wb3N0X3RyYW5zZm9ybSIHU09GVE1BWKABAzoKYWkub25ueC5tbAouCgVsYWJlbBIMb3V0cHV0X2xhYmVsGgRDYXN0IgRDYXN0KgkKAnRvGAegAQI6AApWChJwcm9iYWJpbGl0eV90ZW5zb3ISDXByb2JhYmlsaXRpZXMaCk5vcm1hbGl6ZXIiCk5vcm1hbGl6ZXIqDQoEbm9ybSICTDGgAQM6CmFpLm9ubngubWwKXgoNcHJvYmFiaWxpdGllcxISb3V0cHV0X3Byb2JhYmlsaXR5GgZaaXBNYXAiBlppcE1hcCodChJjbGFzc2xhYmVsc19pbnQ2NHNAAEABQAKgAQc6CmFpLm9ubngubWwSGE9OTlgoTG9naXN0aWNSZWdyZXNzaW9uKVoRCgFYEgwKCggBEgYKAAoCCARiGAoMb3V0cHV0X2xhYmVsEggKBggHEgIKAGIkChJvdXRwdXRfcHJvYmFiaWxpdHkSDiIMCgoqCAgHEgQKAggBQgQKABAJQg4KCmFpLm9ubngubWwQAQ==';
/** Opset 99 of the standard operators. */
const future = 'CAg6PwoQCgFhEgFiIghJZGVudGl0eRIHb3BzZXQ5OVoQCgFhEgsKCQgBEgUKAxIBTmIQCgFiEgsKCQgBEgUKAxIBTkIECgAQYw==';
/** `Expand` of [batch, 1] to [batch, 200,000,000]. */
const bomb =
  'CAg6YwoVCgF4CgVzaGFwZRIBeSIGRXhwYW5kEgZleHBhbmQqHQgCEAdCBXNoYXBlShABAAAAAAAAAADC6wsAAAAAWhgKAXgSEwoRCAESDQoHEgViYXRjaAoCCAFiCQoBeRIECgIIAUIECgAQEQ==';
/** `toString = __proto__ + constructor`. */
const named =
  'CAg6jwEKJwoJX19wcm90b19fCgtjb25zdHJ1Y3RvchIIdG9TdHJpbmciA0FkZBIJcHJvdG9uYW1lWhwKCV9fcHJvdG9fXxIPCg0IARIJCgMSAU4KAggCWh4KC2NvbnN0cnVjdG9yEg8KDQgBEgkKAxIBTgoCCAJiGwoIdG9TdHJpbmcSDwoNCAESCQoDEgFOCgIIAkIECgAQEQ==';
/** `y` of the columns `age` and `city`, [N, 1] each, beside each other. */
const columns =
  'CAg6cgojCgNhZ2UKBGNpdHkSAXkiBkNvbmNhdCoLCgRheGlzGAGgAQISBGNvbHNaFgoDYWdlEg8KDQgBEgkKAxIBTgoCCAFaFwoEY2l0eRIPCg0IARIJCgMSAU4KAggBYhQKAXkSDwoNCAESCQoDEgFOCgIIAkIECgAQEQ==';
/** Images [?, ?, ?, 3] of uint8, as floats. */
const pixels =
  'CAg6TgoXCgFhEgFiIgRDYXN0KgkKAnRvGAGgAQISBXU4aW1nWhUKAWESEAoOCAISCgoACgAKAAoCCANiFQoBYhIQCg4IARIKCgAKAAoACgIIA0IECgAQEQ==';

async function run(base64: string, params: JSONObject, type = 'ml_infer'): Promise<JSONObject> {
  const step = { id: 'infer', type, params: { model: { base64 }, ...params } };
  return (await adapter.execute(step, contextFor(step))) as JSONObject;
}

test('halves go in and come out', async () => {
  const { result, shapes } = await run(halves, { input: [[1.5, -0.25]] });
  assert.deepEqual([result, shapes], [[[3, -0.5]], { b: { dtype: 'float16', shape: [1, 2] } }]);
});

test('a classifier that gives maps can be asked for its labels, and says how it gives tensors', async () => {
  const input = [
    [5.1, 3.5, 1.4, 0.2],
    [6, 2.9, 4.5, 1.5],
  ];
  assert.deepEqual((await run(irises, { input, outputs: ['output_label'] })).result, [0, 1]);
  const refused = { code: 'ML_UNSUPPORTED_MODEL', message: /"output_probability" is no tensor.*output_label.*zipmap/ };
  await assert.rejects(run(irises, { input }), refused);
  await assert.rejects(run(irises, { input, outputs: ['output_probability'] }), refused);
});

test('what the runtime is too old for is told apart from what is no model', async () => {
  await assert.rejects(run(future, { input: [1] }), { code: 'ML_UNSUPPORTED_MODEL', message: /have: ONNX.*Opset 99/ });
});

test('a small model with a huge output costs its step an error', async () => {
  await assert.rejects(run(bomb, { input: [[1]] }), { code: 'ML_TENSOR_TOO_LARGE', message: /output "y".*200000000/ });
});

test('no name of an input reaches the prototype of an object', async () => {
  const input = JSON.parse('{"__proto__":[[1,2]],"constructor":[[3,4]]}');
  await assert.rejects(run(named, { input }), { code: 'ML_UNSUPPORTED_MODEL', message: /"__proto__"/ });
});

test('rows that are objects feed the inputs of their names', async () => {
  const input = [
    { age: 1, city: 2, id: 'a' },
    { age: 3, city: 4, id: 'b' },
  ];
  const wanted = [
    [1, 2],
    [3, 4],
  ];
  assert.deepEqual((await run(columns, { input })).result, wanted);
  assert.deepEqual((await run(columns, { input, batch_size: 1 }, 'ml_batch')).result, wanted);
  await assert.rejects(run(columns, { input: [{ age: 1, city: 2 }, { age: 3 }] }), { message: /\[1\] has no "city"/ });
  const rows = [{ x: 1, y: 2, tags: ['a'] }];
  await assert.rejects(run(halves, { input: rows }), { message: /params\.columns/ });
  assert.deepEqual((await run(halves, { input: rows, columns: ['x', 'y'] }, 'ml_batch')).result, [[2, 4]]);
});

test('a model of whole pixels gets them rounded after they are resized', async () => {
  const input = [[[Array(3).fill(0), Array(3).fill(255)]]];
  const { result } = await run(pixels, { input, preprocess: { resize: { width: 4, height: 1 } } });
  assert.deepEqual(result, [[[Array(3).fill(0), Array(3).fill(64), Array(3).fill(191), Array(3).fill(255)]]]);
  const bright = { scale: 2, mean: 10 };
  assert.deepEqual((await run(pixels, { input, preprocess: bright })).result, [
    [[Array(3).fill(0), Array(3).fill(255)]],
  ]);
});
