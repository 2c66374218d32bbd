import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import { createFinish } from '../abi/buffer.ts';
import { invokerOf } from '../abi/choose.ts';
import { functionType, hasType } from '../abi/detect.ts';
import type { Invoker } from '../abi/invoker.ts';
import { one, typeOfFunction } from '../abi/machine.ts';
import { mismatch } from '../abi/mismatch.ts';
import { checkSize, type Outcome } from '../abi/outcome.ts';
import { type CallInput, payloadOf } from '../abi/params.ts';
import { GuestExit } from '../types.ts';
import type { Instance } from './instance.ts';
import type { CallPlan } from './order.ts';

/** Runs one call from the start of the instance to its outcome. */
export function runCall(instance: Instance, plan: CallPlan, input: CallInput, outputBytesMax: number): Outcome {
  if (plan.abi === 'wasi-command') {
    runCommand(instance);
    return bytesOf(instance.host.stdout(), outputBytesMax);
  }
  if (plan.abi === 'extism') return runPlugin(instance, plan.function, outputBytesMax);
  return prepare(instance, plan, input, outputBytesMax)(input);
}

/** A function of a begun instance, to be called again and again. */
export function prepare(
  instance: Instance,
  plan: CallPlan,
  input: CallInput | undefined,
  outputBytesMax: number,
): Invoker {
  const { abi, signature, function: name } = plan;
  if (abi === 'wasi-command' || abi === 'extism')
    throw mismatch(`a module of the ABI ${abi} takes its input as a whole; it can't be called item by item`);
  begin(instance);
  const choice = { function: name, signature, input };
  const create = invokerOf(instance.shape, abi, plan.abiStated === true, choice);
  return create(instance, { function: name, signature, resultBytesMax: outputBytesMax });
}

/** Gives what the module still has to say at the end of a stream; empty is nothing. @throws StepError where there is no such function */
export function prepareFinish(instance: Instance, name: string, outputBytesMax: number): () => Outcome | undefined {
  const finish = createFinish(instance, name, outputBytesMax);
  return () => {
    const outcome = finish();
    return outcome.kind === 'bytes' && outcome.bytes.length === 0 ? undefined : outcome;
  };
}

/** A program from its start to its end. @throws GuestExit with another code than 0 */
export function runCommand(instance: Instance): void {
  if (functionType(instance.shape, '_start') === undefined)
    throw mismatch(
      'a program exports a function "_start"; this module has none. Name another abi, or another function',
    );
  try {
    instance.begin();
    instance.invoke('_start', []);
  } catch (thrown) {
    if (!(thrown instanceof GuestExit) || thrown.code !== 0) throw thrown;
  }
}

function runPlugin(instance: Instance, name: string, outputBytesMax: number): Outcome {
  const type = typeOfFunction(instance.shape, name);
  if (type.params.length > 0)
    throw mismatch(`a function of a plug-in takes no params; this one takes (${type.params.join(', ')})`);
  begin(instance);
  const given = instance.invoke(name, []);
  const code = given === undefined ? 0 : Number(one(given));
  const error = instance.host.pluginError();
  if (code !== 0 || error !== undefined)
    throw new StepError(
      'WASM_EXITED',
      `the plug-in failed with code ${code}${error === undefined ? '' : `: ${clip(error, 1000)}`}`,
    );
  return bytesOf(instance.host.output(), outputBytesMax);
}

/** The start function, and what toolchains want called before anything else. */
function begin(instance: Instance): void {
  instance.begin();
  // Emscripten's JavaScript, where there should be one, calls the second.
  const name = ['_initialize', '__wasm_call_ctors'].find((item) => hasType(functionType(instance.shape, item), [], []));
  if (name !== undefined) instance.invoke(name, []);
}

/** @param bytes a copy already */
function bytesOf(bytes: Uint8Array<ArrayBuffer>, bytesMax: number): Outcome {
  checkSize(bytes.length, bytesMax);
  return { kind: 'bytes', bytes };
}

/** The bytes of a program's standard input, or of a plug-in's: those that are given for it, or the call's own. */
export const bytesFor = (given: Uint8Array | undefined, input: CallInput | undefined): Uint8Array => {
  if (given !== undefined) return given;
  const isEmpty =
    input === undefined || (input.kind === 'input' ? input.value === null : Object.keys(input.args).length === 0);
  return isEmpty ? new Uint8Array(0) : payloadOf(input);
};
