// Starts, stops and reports the real servers that tests of adapters use. `scripts/services --help` says how.
import { parseArgs } from 'node:util';
import { onInterruption } from './servers/interruption.ts';
import { type ServiceReport, startServices, statusOfServices, stopServices } from './servers/manager.ts';
import { environmentVariable, isServiceName, type ServiceName, serviceNames } from './servers/names.ts';

const help = `Usage: scripts/services COMMAND [NAME …] [--json]

Real servers for the tests, on free ports of 127.0.0.1. Without names: all of them.

  start    start what doesn't run yet; installs it first if that is possible
  stop     end what start has started, and remove its data
  status   say what runs
  env      print lines for a shell: eval "$(scripts/services env)"

Names: ${serviceNames.join(', ')}
A server of your own is used instead if its variable has a URL: ${environmentVariable('postgres')} and so on (see compose.yaml).
--json prints what start, stop and status have to say as JSON.

Exit codes: 0 all is well, 1 a server is not there or an error occurred, 2 wrong usage.`;

class UsageError extends Error {}

interface Request {
  command: string;
  names: readonly ServiceName[];
  json: boolean;
}

function parse(args: readonly string[]): Request | undefined {
  const options = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (parsed.values.help) return undefined;
  const [command, ...names] = parsed.positionals;
  if (command === undefined) throw new UsageError('Say what to do: start, stop, status or env.');
  const unknown = names.find((name) => !isServiceName(name));
  if (unknown !== undefined)
    throw new UsageError(`There is no server "${unknown}". Known: ${serviceNames.join(', ')}.`);
  const chosen = serviceNames.filter((name) => names.length === 0 || names.includes(name));
  return { command, names: chosen, json: parsed.values.json ?? false };
}

function describe(report: ServiceReport): string {
  const name = report.name.padEnd(9);
  switch (report.kind) {
    case 'running':
      return `✔ ${name} ${report.title} ${report.version}, process ${report.pid}, ${report.url}`;
    case 'given':
      return `✔ ${name} ${report.version}, given by ${report.variable}`;
    case 'stopped':
      return `– ${name} doesn't run`;
    case 'unavailable':
      return `✖ ${name} unavailable: ${report.reason}`;
  }
}

function print(reports: readonly ServiceReport[], json: boolean): number {
  if (json)
    console.log(JSON.stringify(Object.fromEntries(reports.map((report) => [report.name, report])), undefined, 2));
  else for (const report of reports) console.log(describe(report));
  return reports.every(({ kind }) => kind === 'running' || kind === 'given') ? 0 : 1;
}

async function printEnvironment(names: readonly ServiceName[]): Promise<number> {
  for (const report of await statusOfServices(names)) {
    if (report.kind === 'running' || report.kind === 'given') {
      console.log(`export ${environmentVariable(report.name)}='${report.url.replaceAll("'", "'\\''")}'`);
    }
  }
  return 0;
}

async function stop({ names, json }: Request): Promise<number> {
  const stopped = await stopServices(names);
  if (json) console.log(JSON.stringify({ stopped }));
  else console.log(stopped.length === 0 ? 'Nothing to stop.' : `Stopped ${stopped.join(', ')}.`);
  return 0;
}

async function main(args: readonly string[]): Promise<number> {
  const request = parse(args);
  if (!request) {
    console.log(help);
    return 0;
  }
  const { command, names, json } = request;
  switch (command) {
    case 'start':
      return print(await startServices(names, (line) => console.error(line)), json);
    case 'stop':
      return stop(request);
    case 'status':
      return print(await statusOfServices(names), json);
    case 'env':
      return printEnvironment(names);
    default:
      throw new UsageError(`There is no command "${command}". Known: start, stop, status, env.`);
  }
}

onInterruption();

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  if (error instanceof UsageError) console.error('scripts/services --help says more.');
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
