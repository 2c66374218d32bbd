import type { Guest, HostSettings } from '../types.ts';
import { GuestClock } from './clock.ts';
import { Descriptors } from './descriptors.ts';
import { Kernel } from './kernel.ts';
import { LogBook } from './logs.ts';
import { GuestMemory } from './memory.ts';
import { HostObjects } from './objects.ts';
import { SeededRandom } from './random.ts';
import { StandardError, StandardInput, StandardOutput } from './stdio.ts';

/** Bytes that are copied for one unit of fuel. */
const bytesPerFuel = 64;

/** What the host functions of one instance work on. */
export class HostState {
  readonly settings: HostSettings;
  readonly guest: Guest;
  readonly memory: GuestMemory;
  readonly clock: GuestClock;
  readonly random: SeededRandom;
  readonly stdin: StandardInput;
  readonly stdout: StandardOutput;
  readonly stderr = new StandardError();
  readonly logs = new LogBook();
  readonly objects = new HostObjects();
  readonly descriptors = new Descriptors();
  readonly kernel: Kernel;
  /** Arguments and variables as a WASI program gets them, once it has asked. */
  arguments: readonly Buffer[] | undefined;
  variables: readonly Buffer[] | undefined;
  /** The upper half of a 64-bit value, as Emscripten passes it around. */
  tempRet0 = 0;

  constructor(settings: HostSettings, guest: Guest) {
    this.settings = settings;
    this.guest = guest;
    this.memory = new GuestMemory(guest);
    this.clock = new GuestClock(guest, settings.timeMs);
    this.random = new SeededRandom(settings.seed);
    this.stdin = new StandardInput(settings.stdin);
    this.stdout = new StandardOutput(settings);
    this.kernel = new Kernel(settings);
  }

  /** Takes fuel for bytes that are copied. @throws what ends the call */
  chargeBytes(bytes: number): void {
    this.guest.charge(Math.ceil(bytes / bytesPerFuel));
  }
}

/** A function that modules may import. Integers of 32 bits arrive signed. */
export type HostFunction = (host: HostState, ...args: never[]) => unknown;

/**
 * Functions by name and type, as in `fd_write iiii:i`: the params' types, a colon, the results' (i = i32, j = i64, f = f32, d = f64).
 * One name may stand with several types.
 */
export type HostFunctions = Readonly<Record<string, HostFunction>>;
