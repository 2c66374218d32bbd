import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import {
  circuitAs,
  circuitOfFile,
  drawSvg,
  drawText,
  type exportForms,
  factsOf,
  histogram,
  probabilityList,
  runCircuitHere,
} from '../../compose/quantum.ts';
import { StepError } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit, UsageError } from '../exit.ts';
import { readJSON, readText } from '../input.ts';
import { paint, paintOut, printable, type Terminal } from '../terminal.ts';
import { jsonText } from './shared.ts';

const actions = ['run', 'draw', 'convert'] as const;
const usage = 'Use jsonflow quantum run FILE, draw FILE or convert FILE.';
const rowsMax = 32;
const memoryMbDefault = 4096;

/** `jsonflow quantum run|draw|convert FILE` */
export async function quantum(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [action, file] = args.positionals;
  if (!actions.includes(action as (typeof actions)[number]))
    throw new UsageError(`there is no "jsonflow quantum ${action ?? ''}"`, usage);
  if (file === undefined) throw new UsageError('no circuit is named', usage);
  const text = await readText(file, terminal);
  try {
    const parameters = parametersOf(args.all('parameter'));
    const circuit = await circuitOfFile(file, text, parameters === undefined ? {} : { parameters });
    if (action === 'run') return await run(circuit, file, args, terminal);
    return action === 'draw' ? await draw(circuit, args, terminal) : convert(circuit, args, terminal);
  } catch (thrown) {
    if (thrown instanceof SyntaxError)
      return fail(file, { code: 'INVALID_JSON', message: thrown.message }, args, terminal);
    if (thrown instanceof StepError) return fail(file, thrown, args, terminal);
    throw thrown;
  }
}

type Circuit = Awaited<ReturnType<typeof circuitOfFile>>;

async function run(circuit: Circuit, file: string, args: Args, terminal: Terminal): Promise<ExitCode> {
  const shots = wholeOf(args, 'shots', 10_000_000);
  const noise = args.get('noise');
  const [method, seed] = [args.get('method'), args.get('seed')];
  const params: JSONObject = {
    ...(shots === undefined ? {} : { shots }),
    ...(method === undefined ? {} : { method }),
    ...(noise === undefined ? {} : { noise: await readJSON(noise, terminal) }),
    ...(args.has('statevector') ? { statevector: true } : {}),
    ...(args.has('single') ? { precision: 'single' } : {}),
    ...(args.has('fast') ? { mode: 'fast' } : {}),
  };
  const began = performance.now();
  const output = runCircuitHere(
    circuit,
    params,
    {
      seed: seed ?? '0',
      memoryMb: wholeOf(args, 'memory', 1_048_576) ?? memoryMbDefault,
      threads: Math.min(2, availableParallelism()),
    },
    () => undefined,
  );
  const elapsedMs = performance.now() - began;
  if (args.has('json')) {
    terminal.out(jsonText(output));
    return exit.ok;
  }
  show(circuit, file, output, elapsedMs, args.has('statevector'), terminal);
  return exit.ok;
}

function show(
  circuit: Circuit,
  file: string,
  output: JSONObject,
  elapsedMs: number,
  withVector: boolean,
  terminal: Terminal,
): void {
  const { qubits, operations, depth } = factsOf(circuit);
  const { method, reason } = output.backend_info as { method: string; reason: string };
  terminal.out(`${printable(file)}: ${qubits} qubits, ${operations} operations, depth ${depth}\n`);
  terminal.out(`${paintOut('dim', `${method}: ${reason}; ${elapsedMs.toFixed(1)} ms`)}\n`);
  const counts = output.counts as Record<string, number>;
  if (output.shots === 0)
    terminal.out(`${probabilityList((output.probabilities ?? {}) as Record<string, number>, rowsMax)}\n`);
  else terminal.out(`${histogram(counts, rowsMax)}\n`);
  if (withVector) terminal.out(`statevector ${jsonText(output.statevector as JSONValue).trim()}\n`);
}

async function draw(circuit: Circuit, args: Args, terminal: Terminal): Promise<ExitCode> {
  const file = args.get('svg');
  if (file === undefined) {
    terminal.out(`${drawText(circuit, wholeOf(args, 'width', 10_000) ?? terminal.size().columns)}\n`);
    return exit.ok;
  }
  const picture = drawSvg(circuit);
  if (file === '-') terminal.out(`${picture}\n`);
  else {
    await writeFile(file, `${picture}\n`);
    terminal.err(`The picture is in ${printable(file)}.\n`);
  }
  return exit.ok;
}

function convert(circuit: Circuit, args: Args, terminal: Terminal): ExitCode {
  const form = (args.get('to') ?? 'qasm3') as (typeof exportForms)[number];
  const given = circuitAs(form, circuit);
  terminal.out(typeof given === 'string' ? `${given.trimEnd()}\n` : jsonText(given));
  return exit.ok;
}

function fail(
  file: string,
  { code, message }: { code: string; message: string },
  args: Args,
  terminal: Terminal,
): ExitCode {
  if (args.has('json')) terminal.out(jsonText({ error: { code, message, file } }));
  terminal.err(`${paint('red', code)} ${printable(file)}: ${printable(message)}\n`);
  return exit.usage;
}

function wholeOf(args: Args, name: string, most: number): number | undefined {
  const text = args.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= most) return value;
  throw new UsageError(`--${name} is ${JSON.stringify(text)}`, `Give a whole number up to ${most}.`);
}

function parametersOf(given: readonly string[]): JSONObject | undefined {
  if (given.length === 0) return undefined;
  return Object.fromEntries(
    given.map((item) => {
      const [name = '', text = ''] = item.split(/=(.*)/s);
      if (text !== '' && Number.isFinite(Number(text))) return [name, Number(text)];
      throw new UsageError(`--parameter is ${JSON.stringify(item)}`, 'Give a name and a number, such as theta=0.5.');
    }),
  );
}
