import { inspectModule, measureModule, readModuleFile, type Verdict } from '../../compose/wasm.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit, UsageError } from '../exit.ts';
import { paint, paintOut, printable, type Terminal } from '../terminal.ts';
import { jsonText } from './shared.ts';

const listedMax = 40;

/** `jsonflow wasm inspect FILE` */
export async function wasm(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [action, file] = args.positionals;
  if (action !== 'inspect')
    throw new UsageError(`there is no "jsonflow wasm ${action ?? ''}"`, 'Use jsonflow wasm inspect FILE.');
  if (file === undefined) throw new UsageError('no module is named', 'Use jsonflow wasm inspect FILE.');
  const bytes = await readModuleFile(file);
  const verdict = await inspectModule(bytes);
  const bench = args.has('bench') && verdict.valid ? await measureModule(bytes) : undefined;
  if (args.has('json')) terminal.out(jsonText({ ...verdict, ...(bench === undefined ? {} : { bench }) }));
  else {
    show(file, verdict, terminal);
    if (bench !== undefined) terminal.out(`Bench        ${benchText(bench)}\n`);
  }
  return verdict.valid ? exit.ok : exit.usage;
}

/** How long the module takes to get ready. A fresh instance is measured where it needs nothing of the host. */
function benchText({
  rewrite_ms,
  compile_ms,
  rewritten_bytes,
  instance_us,
}: Awaited<ReturnType<typeof measureModule>>): string {
  const ready = `rewrite ${rewrite_ms} ms to ${rewritten_bytes} bytes, compile ${compile_ms} ms`;
  return instance_us === null ? ready : `${ready}, new instance ${instance_us} µs`;
}

function show(file: string, verdict: Verdict, terminal: Terminal): void {
  const { abi, toolchain, memory, exports = [], imports = [], problems } = verdict;
  const line = (name: string, text: string): void => terminal.out(`${name.padEnd(12)} ${printable(text)}\n`);
  line('Module', `${file}, ${verdict.bytes} bytes`);
  line('Digest', `sha256:${verdict.digest}`);
  line('Toolchain', toolchain ?? 'not told');
  line('ABI', abi ?? 'none that is known');
  if (memory !== undefined && memory !== null)
    line('Memory', `${memory.min_pages} pages of 64 KiB, at most ${memory.max_pages ?? 'what the step allows'}`);
  list(
    'Exports',
    exports.map(({ name, kind, signature }) => (signature === undefined ? `${name} (${kind})` : `${name}${signature}`)),
    line,
  );
  list(
    'Imports',
    imports.map(({ module, name, kind, signature }) => `${module}.${name}${signature ?? ` (${kind})`}`),
    line,
  );
  if (verdict.valid) terminal.out(`${paintOut('green', 'It can run here.')}\n`);
  else {
    for (const { code, message, fix } of problems)
      terminal.err(`${paint('red', code)} ${printable(message)}${fix === undefined ? '' : `\n  ${printable(fix)}`}\n`);
    terminal.err(`${paint('red', "It can't run here.")}\n`);
  }
}

function list(title: string, items: readonly string[], line: (name: string, text: string) => void): void {
  if (items.length === 0) return line(title, 'none');
  for (const [index, item] of items.slice(0, listedMax).entries()) line(index === 0 ? title : '', item);
  if (items.length > listedMax) line('', `… ${items.length - listedMax} more; --json has all`);
}
