import { StepError } from '../../../lib/errors.ts';
import { instantiate, type Kernel, kernelModule } from './kernel.ts';
import type { Layout } from './layout.ts';
import { Team } from './team.ts';

const pageBytes = 65536;
const pagesMax = 65536;
/** Memories of small states are kept for the next one: making one takes longer than many circuits. */
const keptBytesMax = 64 * 1024 * 1024;
const keptEachMax = 16;

const kept = new Map<string, StateMemory[]>();
let keptBytes = 0;
let team: Team | undefined;

/** One state's memory with a kernel over it. */
export class StateMemory {
  readonly layout: Layout;
  readonly kernel: Kernel;
  bytes: Uint8Array;
  words: Int32Array;
  doubles: Float64Array;
  singles: Float32Array;
  readonly #memory: WebAssembly.Memory;
  readonly #key: string;
  readonly #team: Team | undefined;
  readonly #lent: number;

  constructor(layout: Layout, strict: boolean, threads: number) {
    this.layout = layout;
    this.#key = keyOf(layout, strict, threads);
    const initial = Math.ceil(layout.pool / pageBytes);
    try {
      this.#memory = new WebAssembly.Memory({ initial, maximum: pagesMax, shared: true });
    } catch (cause) {
      throw new StepError('CIRCUIT_TOO_LARGE', `there is no memory for ${layout.pool} bytes of a state`, { cause });
    }
    const module = kernelModule(strict);
    this.kernel = instantiate(module, this.#memory);
    if (threads > 1) {
      team ??= new Team();
      team.grow(threads - 1);
      this.#team = team;
      this.#lent = team.lend(module, this.#memory);
    } else this.#lent = 0;
    this.bytes = new Uint8Array(0);
    this.words = new Int32Array(0);
    this.doubles = new Float64Array(0);
    this.singles = new Float32Array(0);
    this.#view();
  }

  #view(): void {
    const { buffer } = this.#memory;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.singles = new Float32Array(buffer);
  }

  /** The amplitudes, as the kernel keeps them. */
  get stateBytes(): Uint8Array {
    const { state, stateBytes } = this.layout;
    return this.bytes.subarray(state, state + stateBytes);
  }

  /** Puts bytes where matrices and terms are. */
  fillPool(bytes: Uint8Array): void {
    const missing = this.layout.pool + bytes.length - this.bytes.length;
    if (missing > 0) {
      try {
        this.#memory.grow(Math.ceil(missing / pageBytes));
      } catch (cause) {
        throw new StepError('CIRCUIT_TOO_LARGE', 'there is no memory for the matrices beside the state', { cause });
      }
      this.#view();
    }
    this.bytes.set(bytes, this.layout.pool);
  }

  /** The job's words are set; all threads do its parts. */
  run(parts: number): void {
    const { job, buffers, bufferBytes, precision, state } = this.layout;
    const at = job / 4;
    this.words[at] = 0;
    this.words[at + 1] = parts;
    this.words[at + 3] = state;
    const isDouble = precision === 'double';
    if (this.#team !== undefined && parts > 1)
      this.#team.run(this.kernel, { memory: this.#lent, isDouble, job, buffer: buffers, bufferBytes });
    else if (isDouble) this.kernel.workDouble(job, buffers);
    else this.kernel.workSingle(job, buffers);
  }

  release(): void {
    const mine = kept.get(this.#key) ?? [];
    if (this.#team === undefined && mine.length < keptEachMax && keptBytes + this.bytes.length <= keptBytesMax) {
      mine.push(this);
      kept.set(this.#key, mine);
      keptBytes += this.bytes.length;
    } else this.#team?.takeBack(this.#lent);
  }
}

const keyOf = ({ precision, pool, state, qubits, blockQubits }: Layout, strict: boolean, threads: number): string =>
  `${precision} ${qubits} ${blockQubits} ${state} ${pool} ${strict} ${threads}`;

/** With all amplitudes 0. */
export function stateMemory(layout: Layout, strict: boolean, threads: number): StateMemory {
  const memory = kept.get(keyOf(layout, strict, threads))?.pop();
  if (memory === undefined) return new StateMemory(layout, strict, threads);
  keptBytes -= memory.bytes.length;
  memory.stateBytes.fill(0);
  return memory;
}
