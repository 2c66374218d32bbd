import type { Tensor } from 'onnxruntime-node';
import type { Samples } from './job.ts';
import type { Net } from './net/parse.ts';
import type { Random } from './random.ts';

interface Batch {
  count: number;
  x: Tensor;
  t: Tensor;
}

interface Tensors {
  tensor(data: Float32Array, shape: readonly number[]): Tensor;
}

/** Gathers samples into batches. Their memory is used again: a batch is over when the next one is asked for. */
export class Batches {
  readonly #samples: Samples;
  readonly #net: Net;
  readonly #tensors: Tensors;
  readonly #size: number;
  readonly #x: Float32Array;
  readonly #t: Float32Array;

  constructor(samples: Samples, net: Net, size: number, tensors: Tensors) {
    this.#samples = samples;
    this.#net = net;
    this.#tensors = tensors;
    this.#size = Math.min(size, samples.count);
    this.#x = new Float32Array(this.#size * this.#width);
    this.#t = new Float32Array(this.#size * net.outputs);
  }

  get #width(): number {
    return this.#samples.x.length / this.#samples.count;
  }

  inOrder(): Generator<Batch> {
    return this.shuffled(undefined);
  }

  /** @param random undefined: in order */
  *shuffled(random: Random | undefined): Generator<Batch> {
    const order = Uint32Array.from({ length: this.#samples.count }, (_, index) => index);
    random?.shuffle(order);
    for (let from = 0; from < order.length; from += this.#size)
      yield this.#gather(order.subarray(from, from + this.#size));
  }

  #gather(order: Uint32Array): Batch {
    const { x, t } = this.#samples;
    const { input, outputs } = this.#net;
    const width = this.#width;
    if (t instanceof Int32Array) this.#t.fill(0);
    for (const [place, sample] of order.entries()) {
      this.#x.set(x.subarray(sample * width, (sample + 1) * width), place * width);
      if (t instanceof Int32Array) this.#t[place * outputs + (t[sample] ?? 0)] = 1;
      else this.#t.set(t.subarray(sample * outputs, (sample + 1) * outputs), place * outputs);
    }
    const count = order.length;
    return {
      count,
      x: this.#tensors.tensor(this.#x.subarray(0, count * width), [count, ...input]),
      t: this.#tensors.tensor(this.#t.subarray(0, count * outputs), [count, outputs]),
    };
  }
}
