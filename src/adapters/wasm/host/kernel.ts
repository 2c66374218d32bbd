import { StepError } from '../../../lib/errors.ts';
import type { HostSettings } from '../types.ts';

/** Bytes that a plug-in may have allocated beyond its input and its output. */
const workBytesMax = 64 * 1024 * 1024;
/** Smallest part given: it bounds how many there can be. */
const partMin = 64;
/** Keys and values of all variables together. */
const variableBytesMax = 1024 * 1024;

interface Block {
  length: number;
  capacity: number;
}

/**
 * The memory of Extism's kernel: blocks of bytes that the host and a plug-in hand to each other, apart from the plug-in's own memory.
 * Addresses are of 64 bits; 0 is none. What is not there reads as 0 and is not written, as in Extism.
 */
export class Kernel {
  readonly #settings: HostSettings;
  readonly #max: number;
  readonly #blocks = new Map<number, Block>();
  readonly #free = new Map<number, number[]>();
  readonly #variables = new Map<string, Buffer>();
  #variableBytes = 0;
  #bytes = Buffer.alloc(0);
  #end = partMin;
  #input: number | undefined;
  #output = { pointer: 0, length: 0 };
  #error = 0;

  constructor(settings: HostSettings) {
    this.#settings = settings;
    this.#max = workBytesMax + 2 * (settings.input.length + Math.min(settings.outputBytesMax, 2 ** 30));
  }

  /** @throws StepError MEMORY_LIMIT */
  alloc(length: bigint): bigint {
    const wanted = BigInt.asUintN(64, length);
    if (wanted === 0n) return 0n;
    if (wanted > BigInt(this.#max)) throw this.#full(wanted);
    const size = Number(wanted);
    let capacity = partMin;
    while (capacity < size) capacity *= 2;
    const reused = this.#free.get(capacity)?.pop();
    const pointer = reused ?? this.#extend(capacity, wanted);
    this.#blocks.set(pointer, { length: size, capacity });
    return BigInt(pointer);
  }

  free(handle: bigint): void {
    const pointer = Number(BigInt.asUintN(64, handle));
    const block = this.#blocks.get(pointer);
    if (block === undefined) return;
    this.#blocks.delete(pointer);
    const list = this.#free.get(block.capacity);
    if (list === undefined) this.#free.set(block.capacity, [pointer]);
    else list.push(pointer);
    if (pointer === this.#input) this.#input = undefined;
  }

  length(handle: bigint): number {
    return this.#blocks.get(Number(BigInt.asUintN(64, handle)))?.length ?? 0;
  }

  /** The bytes of a block, not a copy; none for what is no block. */
  block(handle: bigint): Buffer {
    const pointer = Number(BigInt.asUintN(64, handle));
    return this.#bytes.subarray(pointer, pointer + this.length(handle));
  }

  /** The text in a block, as far as it is of use: no variable has a longer name. */
  text(handle: bigint): string {
    return this.block(handle).subarray(0, variableBytesMax).toString('utf8');
  }

  /** A new block that holds these bytes. */
  put(data: Uint8Array): bigint {
    const handle = this.alloc(BigInt(data.length));
    this.block(handle).set(data);
    return handle;
  }

  load8(address: bigint): number {
    return this.#at(address, 1)?.readUInt8() ?? 0;
  }

  load64(address: bigint): bigint {
    return this.#at(address, 8)?.readBigUInt64LE() ?? 0n;
  }

  store8(address: bigint, value: number): void {
    this.#at(address, 1)?.writeUInt8(value & 255);
  }

  store64(address: bigint, value: bigint): void {
    this.#at(address, 8)?.writeBigUInt64LE(BigInt.asUintN(64, value));
  }

  /** Where the input stands; it is put there when first asked for. */
  get inputOffset(): bigint {
    this.#input ??= Number(this.put(this.#settings.input));
    return BigInt(this.#input);
  }

  /** @throws StepError RESULT_TOO_LARGE */
  setOutput(address: bigint, length: bigint): void {
    const size = BigInt.asUintN(64, length);
    if (size > BigInt(this.#settings.outputBytesMax))
      throw new StepError(
        'RESULT_TOO_LARGE',
        `the plug-in's output has ${size} bytes, more than the ${this.#settings.outputBytesMax} that are allowed; return less`,
      );
    const pointer = Number(BigInt.asUintN(64, address));
    if (pointer + Number(size) > this.#end) return;
    this.#output = { pointer, length: Number(size) };
  }

  get outputOffset(): bigint {
    return BigInt(this.#output.pointer);
  }

  get outputLength(): bigint {
    return BigInt(this.#output.length);
  }

  output(): Uint8Array<ArrayBuffer> {
    const { pointer, length } = this.#output;
    return new Uint8Array(this.#bytes.subarray(pointer, pointer + length));
  }

  setError(handle: bigint): void {
    this.#error = Number(BigInt.asUintN(64, handle));
  }

  get errorHandle(): bigint {
    return BigInt(this.#error);
  }

  error(): string | undefined {
    return this.#error === 0 ? undefined : this.text(BigInt(this.#error));
  }

  get size(): number {
    return this.#end;
  }

  /** 0 for none. */
  variable(name: string): bigint {
    const value = this.#variables.get(name);
    return value === undefined ? 0n : this.put(value);
  }

  /** @param handle of the value; 0 removes the variable @throws StepError MEMORY_LIMIT */
  setVariable(name: string, handle: bigint): void {
    const old = this.#variables.get(name);
    const value = handle === 0n ? undefined : Buffer.from(this.block(handle));
    const cost = (bytes: Buffer | undefined): number =>
      bytes === undefined ? 0 : bytes.length + Buffer.byteLength(name) + partMin;
    const total = this.#variableBytes - cost(old) + cost(value);
    if (total > variableBytesMax)
      throw new StepError(
        'MEMORY_LIMIT',
        `the plug-in's variables take more than ${variableBytesMax} bytes; keep less`,
      );
    this.#variableBytes = total;
    if (value === undefined) this.#variables.delete(name);
    else this.#variables.set(name, value);
  }

  #extend(capacity: number, wanted: bigint): number {
    const pointer = this.#end;
    if (pointer + capacity > this.#max) throw this.#full(wanted);
    if (pointer + capacity > this.#bytes.length) {
      const larger = Buffer.alloc(Math.min(this.#max, Math.max(65_536, 2 * this.#bytes.length, pointer + capacity)));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#end = pointer + capacity;
    return pointer;
  }

  #at(address: bigint, length: number): Buffer | undefined {
    const pointer = BigInt.asUintN(64, address);
    if (pointer < BigInt(partMin) || pointer + BigInt(length) > BigInt(this.#end)) return undefined;
    return this.#bytes.subarray(Number(pointer), Number(pointer) + length);
  }

  #full(wanted: bigint): StepError {
    return new StepError(
      'MEMORY_LIMIT',
      `the plug-in asked for ${wanted} bytes of the memory that it shares with its host, which has ${this.#max} at most; free blocks that are no longer used, or take less at once`,
    );
  }
}
