import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Graph } from './graph.ts';
import { encodeModel, readModel } from './model.ts';
import { MessageWriter, readFields } from './wire.ts';

const throwsInvariant = (fn: () => unknown): void => assert.throws(fn, { code: 'INTERNAL' });

describe('the wire format', () => {
  it('holds numbers of all sizes, as the specification has them', () => {
    // https://protobuf.dev/programming-guides/encoding/: 150 in field 1, "testing" in field 2, -1 as ten bytes.
    assert.deepEqual([...new MessageWriter().int(1, 150).finish()], [0x08, 0x96, 0x01]);
    assert.equal(Buffer.from(new MessageWriter().text(2, 'testing').finish()).toString('hex'), '120774657374696e67');
    assert.equal(new MessageWriter().int(1, -1).finish().length, 11);
    for (const value of [0n, 1n, 127n, 128n, 2n ** 32n, 2n ** 63n - 1n, -1n, -(2n ** 63n)])
      assert.deepEqual([...readFields(new MessageWriter().int(3, value).finish())], [{ field: 3, int: value }]);
  });

  it('of broken bytes gives an error that says so, and ends', () => {
    const bytes = Buffer.from(sample());
    for (let at = 0; at < bytes.length; at++) {
      for (const change of [0x01, 0x80, 0xff]) {
        const broken = Buffer.from(bytes);
        broken[at] = (broken[at] ?? 0) ^ change;
        refusedOrRead(broken);
      }
      refusedOrRead(bytes.subarray(0, at));
    }
  });
});

function refusedOrRead(bytes: Uint8Array): void {
  try {
    readModel(bytes);
  } catch (thrown) {
    assert.equal((thrown as { code?: string }).code, 'ML_INVALID_MODEL', String(thrown));
  }
}

function sample(): Uint8Array {
  const g = new Graph();
  const x = g.input('x', ['batch', 3]);
  const weights = g.constant(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2], 'weights');
  g.output('y', g.relu(g.gemm(x, weights)));
  return encodeModel(g, { words: 'größer', more: '' });
}

it('a model gives back its constants and its texts', () => {
  const { metadata, constants } = readModel(sample());
  assert.deepEqual(
    [...metadata],
    [
      ['words', 'größer'],
      ['more', ''],
    ],
  );
  assert.deepEqual(constants.get('weights'), { shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
});

it('lengths that another writer packs are read', () => {
  const tensor = new MessageWriter()
    .bytes(1, Uint8Array.of(0x80, 0x02, 0x01))
    .int(2, 1)
    .text(8, 'w')
    .bytes(9, new Uint8Array(1024));
  const model = new MessageWriter().message(7, new MessageWriter().message(5, tensor)).finish();
  assert.deepEqual(readModel(model).constants.get('w')?.shape, [256, 1]);
});

describe('crafted bytes cost little', () => {
  const refusedAsModel = (bytes: Uint8Array, message: RegExp): void =>
    assert.throws(() => readModel(bytes), { code: 'ML_INVALID_MODEL', message });
  const fields = Buffer.alloc(2_000_000, Buffer.from([0x18, 0]));

  it('of very many fields', () => {
    refusedAsModel(fields, /more than the 200000 fields/);
    refusedAsModel(new MessageWriter().bytes(14, fields).finish(), /more than the 200000 fields/);
    refusedAsModel(new MessageWriter().bytes(7, fields).finish(), /more than the 200000 fields/);
    const tensor = new MessageWriter().bytes(5, fields);
    refusedAsModel(new MessageWriter().message(7, tensor).finish(), /more than the 200000 fields/);
  });

  it('of very many axes', () => {
    const many = new MessageWriter();
    for (let axis = 0; axis < 100; axis++) many.int(1, 1);
    for (const tensor of [many, new MessageWriter().bytes(1, Buffer.alloc(1_000_000, 1))]) {
      const graph = new MessageWriter().message(5, tensor);
      refusedAsModel(new MessageWriter().message(7, graph).finish(), /more than 64 axes/);
    }
  });
});

describe('shapes that do not fit are found when the graph is built', () => {
  const window = { kernel: [3, 3], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
  const wrong: Record<string, (g: Graph) => unknown> = {
    'products of matrices': (g) => g.gemm(g.input('a', ['n', 3]), g.input('b', [4, 2])),
    'a row that is too long': (g) => g.gemm(g.input('a', ['n', 3]), g.input('b', [3, 2]), g.input('c', [3])),
    sums: (g) => g.add(g.input('a', [2, 3]), g.input('b', [2, 4])),
    'sums of batches that may differ': (g) => g.add(g.input('a', ['n', 3]), g.input('b', ['m', 3])),
    'channels of images': (g) => g.conv(g.input('a', ['n', 3, 8, 8]), g.input('b', [4, 2, 3, 3]), undefined, window),
    'images below the window': (g) => g.maxPool(g.input('a', ['n', 3, 2, 8]), window, false),
    'a constant without all its elements': (g) => g.constant(Float32Array.of(1), [2]),
    'an output that no node gives': (g) => g.output('y', g.input('x', [1])),
    'an output that is given twice': (g) => {
      const y = g.relu(g.input('x', [1]));
      g.output('y', y);
      g.output('z', y);
    },
  };
  for (const [name, build] of Object.entries(wrong)) it(name, () => throwsInvariant(() => build(new Graph())));
});
