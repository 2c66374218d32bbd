// How values cross between the node and a process: as bytes of a message, their large tensors in a file that both have open. The file is
// memory: a tensor is written once and read where it lies, while a pipe takes it in pieces and copies it four times.
import { closeSync, constants, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { DefaultDeserializer, DefaultSerializer } from 'node:v8';
import { StepError } from '../../../lib/errors.ts';

/** Smaller ones cross with their message. */
const apartBytesMin = 32 * 1024;
/** Of every tensor in the file, so that it can be used where it lies. */
const alignment = 64;
/** Stands for a place in the file where the bytes follow instead. */
const inMessage = 0xffffffff;

/**
 * A file without a name in memory, which two processes have open. Within a call each puts what it sends after what it was sent; with the next
 * call both begin anew.
 */
export class SharedFile {
  readonly bytesMax: number;
  readonly #memory: ArrayBuffer | undefined;
  #fd: number | undefined;
  #end = 0;
  #limit: number;

  /**
   * @param fd undefined for one that nothing goes into
   * @param bytesMax that it may have
   * @param memory the file as memory, where what is read from it may be used where it lies: until the next call, and not to be written
   */
  constructor(fd: number | undefined, bytesMax: number, memory?: ArrayBuffer) {
    this.#fd = fd;
    this.bytesMax = bytesMax;
    this.#memory = memory;
    this.#limit = bytesMax;
  }

  /** A new one; nothing goes into it where the system has no such files. It is gone with the last process that has it open, however that ends. */
  static open(bytesMax: number): SharedFile {
    const none = new SharedFile(undefined, 0);
    if (process.platform !== 'linux' || bytesMax === 0) return none;
    // O_TMPFILE of Linux, which Node has no name for: open(2).
    const nameless = 0o20000000 | constants.O_DIRECTORY;
    try {
      return new SharedFile(openSync('/dev/shm', nameless | constants.O_RDWR, 0o600), bytesMax);
    } catch {
      return none;
    }
  }

  get fd(): number | undefined {
    return this.#fd;
  }

  /** The call is over: what lies in it is not needed any more. */
  restart(): void {
    this.#end = 0;
    this.#limit = this.bytesMax;
  }

  /** @returns where the bytes are now; undefined where there is no room, as in a container with little shared memory */
  put(bytes: Uint8Array): number | undefined {
    const at = Math.ceil(this.#end / alignment) * alignment;
    if (this.#fd === undefined || at + bytes.length > this.#limit) return undefined;
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done);
    } catch {
      // No more is tried in this call.
      this.#limit = at + done;
      return undefined;
    }
    this.#end = at + bytes.length;
    return at;
  }

  /** @throws StepError ML_PROCESS_CRASHED where the file does not have these bytes */
  get(at: number, length: number): Uint8Array {
    if (this.#fd === undefined || at + length > this.bytesMax) throw lost();
    this.#end = Math.max(this.#end, at + length);
    return this.#memory === undefined ? copied(this.#fd, at, length) : new Uint8Array(this.#memory, at, length);
  }

  /** Gives the memory back. */
  empty(): void {
    if (this.#fd !== undefined) ftruncateSync(this.#fd);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function copied(fd: number, at: number, length: number): Uint8Array {
  // All of it is overwritten.
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length; ) {
    const count = readSync(fd, bytes, done, length - done, at + done);
    if (count === 0) throw lost();
    done += count;
  }
  return bytes;
}

const lost = (): StepError =>
  new StepError('ML_PROCESS_CRASHED', 'the process told of a tensor that is not there', { retryable: true });

const views = [
  Uint8Array,
  Float32Array,
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;

class Packer extends DefaultSerializer {
  readonly #file: SharedFile;

  constructor(file: SharedFile) {
    super();
    this.#file = file;
  }

  /** V8 calls it for typed arrays. */
  _writeHostObject(view: ArrayBufferView): void {
    const kind = views.findIndex((View) => view instanceof View);
    if (kind < 0) throw new TypeError(`${view.constructor.name} does not cross to a process`);
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    const at = bytes.length < apartBytesMin ? undefined : this.#file.put(bytes);
    this.writeUint32(kind);
    this.writeUint32(bytes.length);
    this.writeUint32(at ?? inMessage);
    if (at === undefined) this.writeRawBytes(bytes);
  }
}

class Unpacker extends DefaultDeserializer {
  readonly #file: SharedFile;

  constructor(message: Uint8Array, file: SharedFile) {
    super(message);
    this.#file = file;
  }

  _readHostObject(): ArrayBufferView {
    const View = views[this.readUint32()];
    const length = this.readUint32();
    const at = this.readUint32();
    if (View === undefined) throw lost();
    const bytes = at === inMessage ? new Uint8Array(this.readRawBytes(length)) : this.#file.get(at, length);
    return new View(bytes.buffer as ArrayBuffer, bytes.byteOffset, length / View.BYTES_PER_ELEMENT);
  }
}

/** A value as bytes, its large typed arrays in the file. @throws where structured clone has no form for it */
export function pack(value: unknown, file: SharedFile): Buffer {
  const packer = new Packer(file);
  packer.writeHeader();
  packer.writeValue(value);
  return packer.releaseBuffer();
}

/** @returns the value that was packed; buffers arrive as Uint8Array */
export function unpack(bytes: Uint8Array, file: SharedFile): unknown {
  const unpacker = new Unpacker(bytes, file);
  unpacker.readHeader();
  return unpacker.readValue();
}
