// The program of a sandbox's threads. It holds compiled modules, makes an instance for each call, and answers with data only.
import { parentPort, type Transferable } from 'node:worker_threads';
import { StepError } from '../../../lib/errors.ts';
import type { Invoker } from '../abi/invoker.ts';
import type { Outcome } from '../abi/outcome.ts';
import type { CallInput } from '../abi/params.ts';
import { resolveImports } from '../host/imports.ts';
import type { HostSettings, ModuleShape } from '../types.ts';
import { failureOf } from './failure.ts';
import { Instance } from './instance.ts';
import type { FromThread, InstanceMessage, ToThread } from './messages.ts';
import { noFacts } from './order.ts';
import { bytesFor, prepare, prepareFinish, runCall, runCommand } from './program.ts';
import { Ring } from './ring.ts';

if (parentPort === null) throw new StepError('SANDBOX_CRASHED', 'this file is the program of a thread');
const port = parentPort;
const modules = new Map<string, { module: WebAssembly.Module; shape: ModuleShape }>();

interface Stream {
  instance: Instance;
  invoker: Invoker;
  fuelPerChunk: bigint | undefined;
  finish: () => Outcome | undefined;
}
let stream: Stream | undefined;

type Io = Pick<HostSettings, 'stdin' | 'stdout' | 'input'>;
const noBytes = new Uint8Array(0);
const nothing = (): undefined => undefined;

harden();
port.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'call':
      return call(message, message.input);
    case 'open':
      return open(message);
    case 'item':
      return item(message.input);
    case 'end':
      return end();
    case 'pipe':
      return pipe(message);
  }
});

/** No code of a module can name these; that nothing here can either makes one mistake less. */
function harden(): void {
  Error.stackTraceLimit = 32;
  for (const name of ['fetch', 'WebSocket', 'EventSource', 'Request', 'Response', 'BroadcastChannel', 'navigator'])
    Reflect.deleteProperty(globalThis, name);
  for (const name of ['binding', 'dlopen', 'kill', '_linkedBinding', '_debugProcess'])
    Reflect.deleteProperty(process, name);
  for (const intrinsic of [Object, Array, Function, Promise, Uint8Array, ArrayBuffer, Map, Set])
    Object.preventExtensions(intrinsic.prototype);
}

function call(message: InstanceMessage, input: CallInput): void {
  const { plan, settings } = message;
  const io = (): Io => ({
    stdin: plan.abi === 'wasi-command' ? bytesFor(settings.stdin, input) : (settings.stdin ?? noBytes),
    input: plan.abi === 'extism' ? bytesFor(settings.input, input) : (settings.input ?? noBytes),
  });
  attempt(message, io, (instance) => {
    const outcome = runCall(instance, plan, input, settings.outputBytesMax);
    answer({ kind: 'done', outcome, facts: instance.facts() }, transferOf(outcome));
  });
}

function open(message: InstanceMessage & { fuelPerChunk?: bigint; finish?: string }): void {
  const io = (): Io => ({ stdin: message.settings.stdin ?? noBytes, input: noBytes });
  attempt(message, io, (instance) => {
    const { outputBytesMax } = message.settings;
    const invoker = prepare(instance, message.plan, undefined, outputBytesMax);
    // Looked up at once: that it is not there is no news for the end of a long stream.
    const finish = message.finish === undefined ? nothing : prepareFinish(instance, message.finish, outputBytesMax);
    stream = { instance, invoker, fuelPerChunk: message.fuelPerChunk, finish };
  });
}

function item(input: CallInput): void {
  // Items that were on their way when the stream failed.
  if (stream === undefined) return;
  const { instance, invoker, fuelPerChunk } = stream;
  guarded(instance, () => {
    if (fuelPerChunk !== undefined) instance.allow(fuelPerChunk);
    const outcome = invoker(input);
    answer({ kind: 'gave', outcome, fuelUsed: instance.fuelUsed }, transferOf(outcome));
  });
}

function end(): void {
  if (stream === undefined) return;
  const { instance, fuelPerChunk, finish } = stream;
  guarded(instance, () => {
    if (fuelPerChunk !== undefined) instance.allow(fuelPerChunk);
    const outcome = finish();
    const facts = instance.facts();
    stream = undefined;
    answer(
      outcome === undefined ? { kind: 'closed', facts } : { kind: 'closed', outcome, facts },
      outcome === undefined ? [] : transferOf(outcome),
    );
  });
}

function pipe(message: InstanceMessage & { stdin: SharedArrayBuffer; stdout: SharedArrayBuffer }): void {
  const stdin = new Ring(message.stdin);
  const stdout = new Ring(message.stdout);
  const io = (): Io => ({
    stdin: (into: Uint8Array) => stdin.readFully(into),
    stdout: (bytes: Uint8Array) => stdout.writeFully(bytes),
    input: noBytes,
  });
  // What is passed on is not kept, and needs no bound.
  const settings = { ...message.settings, outputBytesMax: Number.MAX_SAFE_INTEGER };
  attempt({ ...message, settings }, io, (instance) => {
    runCommand(instance);
    answer({ kind: 'closed', facts: instance.facts() });
  });
  stdout.end();
}

/** Makes an instance and works with it; whatever goes wrong is an answer. */
function attempt(message: InstanceMessage, io: () => Io, body: (instance: Instance) => void): void {
  stream = undefined;
  let instance: Instance | undefined;
  try {
    const { module, shape } = moduleOf(message);
    const { settings, policy, fuel } = message;
    const full = { argv: [], env: {}, config: {}, ...settings, ...io() };
    instance = new Instance({ module, shape, policy, settings: full, fuel, resolveImports });
    body(instance);
  } catch (thrown) {
    failed(thrown, instance);
  }
}

function guarded(instance: Instance, body: () => void): void {
  try {
    body();
  } catch (thrown) {
    stream = undefined;
    failed(thrown, instance);
  }
}

function failed(thrown: unknown, instance: Instance | undefined): void {
  const failure = failureOf(thrown, instance?.remains ?? { stop: 0, stderr: '' });
  answer({ kind: 'failed', failure, facts: instance?.facts() ?? noFacts });
}

function moduleOf({ key, loaded, forget }: InstanceMessage): { module: WebAssembly.Module; shape: ModuleShape } {
  for (const old of forget) modules.delete(old);
  if (loaded !== undefined) modules.set(key, loaded);
  const known = modules.get(key);
  if (known === undefined) throw new StepError('SANDBOX_CRASHED', 'the thread lacks the module', { retryable: true });
  return known;
}

const answer = (message: FromThread, transfer: Transferable[] = []): void => port.postMessage(message, transfer);

const transferOf = (outcome: Outcome): Transferable[] => (outcome.kind === 'bytes' ? [outcome.bytes.buffer] : []);
