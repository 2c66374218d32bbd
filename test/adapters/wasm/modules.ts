import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type Call = (...args: (number | bigint)[]) => number | bigint;

/** An example module, called by the rules of the buffer ABI with nothing of JSONFlow in between. */
export interface BufferModule {
  call(name: string, input: Uint8Array | string): Buffer;
  /** As JSON. */
  json(name: string, input: unknown): unknown;
  /** A function without params that gives a buffer. */
  finish(name: string): Buffer;
  memoryPages(): number;
}

const folder = new URL('../../../modules/', import.meta.url);

/** What a module said before it ended the call with an exit code. */
export class ModuleRefusal extends Error {}

export function bufferModule(file: string): BufferModule {
  const module = new WebAssembly.Module(readFileSync(fileURLToPath(new URL(file, folder))));
  let said = '';
  const memory = (): Buffer => Buffer.from((instance.exports.memory as WebAssembly.Memory).buffer);
  const text16 = (pointer: number): string => {
    const bytes = memory().readUInt32LE(pointer - 4);
    return memory().toString('utf16le', pointer, pointer + bytes);
  };
  const instance = new WebAssembly.Instance(module, {
    wasi_snapshot_preview1: {
      fd_write: (_fd: number, vectors: number, count: number, written: number) => {
        const bytes = memory();
        let total = 0;
        for (let index = 0; index < count; index += 1) {
          const start = bytes.readUInt32LE(vectors + 8 * index);
          const length = bytes.readUInt32LE(vectors + 8 * index + 4);
          said += bytes.toString('utf8', start, start + length);
          total += length;
        }
        bytes.writeUInt32LE(total, written);
        return 0;
      },
      proc_exit: (code: number) => {
        throw new ModuleRefusal(`exit ${code}: ${said}`);
      },
    },
    env: {
      abort: (message: number) => {
        throw new ModuleRefusal(message === 0 ? 'abort' : text16(message));
      },
    },
  });
  const run = (name: string, args: (number | bigint)[]): number | bigint => (instance.exports[name] as Call)(...args);
  const taken = (packed: number | bigint): Buffer => {
    const bits = BigInt.asUintN(64, BigInt(packed));
    const pointer = Number(bits >> 32n);
    const length = Number(bits & 0xffff_ffffn);
    const bytes = Buffer.from(memory().subarray(pointer, pointer + length));
    if (pointer !== 0) run('dealloc', [pointer, length]);
    return bytes;
  };
  const call = (name: string, input: Uint8Array | string): Buffer => {
    const bytes = Buffer.from(input as string);
    const pointer = Number(run('alloc', [bytes.length]));
    memory().set(bytes, pointer >>> 0);
    const packed = run(name, [pointer, bytes.length]);
    const output = taken(packed);
    if (pointer !== Number(BigInt.asIntN(32, BigInt.asUintN(64, BigInt(packed)) >> 32n)))
      run('dealloc', [pointer, bytes.length]);
    return output;
  };
  return {
    call,
    json: (name, input) => JSON.parse(call(name, JSON.stringify(input)).toString('utf8')),
    finish: (name) => taken(run(name, [])),
    memoryPages: () => memory().length / 65_536,
  };
}
