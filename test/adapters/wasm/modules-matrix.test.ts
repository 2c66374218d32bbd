import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

test('a product of matrices, as JavaScript computes it, to the last bit', () => {
  const file = fileURLToPath(new URL('../../../modules/matrix_multiply.wasm', import.meta.url));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)));
  const n = 20;
  const pointer = (exports.room as (size: number) => number)(3 * n * n * 8);
  assert.ok(pointer > 0);
  const [a = new Float64Array(), b = new Float64Array(), c = new Float64Array()] = [0, 1, 2].map(
    (at) => new Float64Array((exports.memory as WebAssembly.Memory).buffer, pointer + at * n * n * 8, n * n),
  );
  a.forEach((_, at) => {
    a[at] = Math.sin(at) * 1e3;
    b[at] = Math.cos(at) / 3;
  });
  (exports.multiply as (...args: number[]) => void)(a.byteOffset, b.byteOffset, c.byteOffset, n);
  const expected = c.map((_, at) => {
    let sum = 0;
    for (let k = 0; k < n; k += 1) sum += (a[at - (at % n) + k] ?? 0) * (b[k * n + (at % n)] ?? 0);
    return sum;
  });
  assert.deepEqual(c, expected);
});
