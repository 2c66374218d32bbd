import { access, constants, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { encodeBundle, validateWorkflow } from '../../compose/offline.ts';
import type { DistributedResult } from '../../protocol/result.ts';
import type { RunApi } from '../client.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit, UsageError } from '../exit.ts';
import { inputOf, readText } from '../input.ts';
import type { Terminal } from '../terminal.ts';
import { problemLine } from '../view/problem-line.ts';
import { type Display, liveDisplay, plainDisplay, silentDisplay } from '../view/screen.ts';
import { summary } from '../view/summary.ts';
import { clientOf, egressOf, jsonText } from './shared.ts';

/** `jsonflow run` */
export async function run(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [file = '-'] = args.positionals;
  const given = args.all('input');
  if ([file, ...given].filter((item) => item === '-' || item === '@-' || item.endsWith('=@-')).length > 1)
    throw new UsageError('standard input can be read only once', 'Put the workflow or the input into a file.');
  const workflow = await readText(file, terminal);
  const input = given.length === 0 ? undefined : await inputOf(given, terminal);
  const bundlePath = args.get('bundle');
  if (bundlePath !== undefined) await checkWritable(bundlePath);
  warn(file, workflow, terminal);
  const session = await openSession(file, args, terminal);
  try {
    const key = args.get('idempotency-key');
    const { run_id: runId } = await session.api.submit({
      workflow,
      ...(input === undefined ? {} : { input }),
      ...(key === undefined ? {} : { idempotencyKey: key }),
    });
    const result = await follow(session.api, runId, args, terminal);
    if (result === 'left') {
      terminal.err(`Left. ${session.leaving}\n`);
      // At once: closing the engine would wait for the very step that the user does not want to wait for.
      process.exit(exit.runFailed);
    }
    if (bundlePath !== undefined) await writeFile(bundlePath, encodeBundle(await session.api.bundle(runId)));
    if (args.has('json')) terminal.out(jsonText(result));
    else terminal.out(summary(result, terminal.size().columns));
    if (bundlePath !== undefined) terminal.err(`Bundle       ${bundlePath}\n`);
    return result.status === 'completed' ? exit.ok : exit.runFailed;
  } finally {
    await session.close();
  }
}

/** What is dangerous about the workflow, before it runs. Errors are told by whoever knows all step types. */
function warn(file: string, workflow: string, terminal: Terminal): void {
  const { problems } = validateWorkflow(workflow);
  const warnings = problems.filter(({ severity }) => severity === 'warning');
  for (const one of warnings) terminal.err(problemLine(file === '-' ? 'stdin' : file, one));
}

interface Session {
  api: RunApi;
  /** What becomes of the run when the user leaves. */
  leaving: string;
  close(): Promise<void>;
}

async function openSession(file: string, args: Args, terminal: Terminal): Promise<Session> {
  if (args.has('connect') || terminal.env.JSONFLOW_CONNECT !== undefined) {
    const client = await clientOf(args, terminal);
    return { api: client, leaving: `See "jsonflow show" on ${client.url}.`, async close() {} };
  }
  const { DistributedEngine } = await import('../../compose/distributed-engine.ts');
  const egress = egressOf(args);
  const engine = new DistributedEngine({
    role: 'coordinator',
    dataDir: args.get('data-dir') ?? '.jsonflow',
    ...(egress === undefined ? {} : { egress }),
    // Files beside a workflow belong to it.
    assets: [...args.all('assets'), ...(file === '-' ? [] : [dirname(file)])],
  });
  await engine.start();
  return {
    api: engine.api,
    leaving: 'The next "jsonflow run" with this data directory goes on with it.',
    close: () => engine.close(),
  };
}

/** Watches the run to its end. The first Ctrl-C cancels it and waits, the second leaves. */
async function follow(api: RunApi, runId: string, args: Args, terminal: Terminal): Promise<DistributedResult | 'left'> {
  const display = displayOf(args, terminal, runId);
  const leave = Promise.withResolvers<'left'>();
  const watching = new AbortController();
  let interrupts = 0;
  const forget = terminal.onInterrupt((signal) => {
    interrupts += 1;
    if (interrupts > 1) return leave.resolve('left');
    if (!terminal.interactive) terminal.err('Cancelling; interrupt again to leave at once.\n');
    api.cancel(runId, `cancelled by ${signal}`).catch((error: unknown) => leave.reject(error));
  });
  const watch = async (): Promise<'ended'> => {
    for await (const item of api.events(runId, { signal: watching.signal })) display.show(item);
    return 'ended';
  };
  const watched = watch();
  // When the race is lost, nobody waits for the watcher any more.
  watched.catch(() => {});
  try {
    if ((await Promise.race([watched, leave.promise])) === 'left') return 'left';
    return await api.result(runId);
  } finally {
    forget();
    watching.abort();
    display.end();
  }
}

function displayOf(args: Args, terminal: Terminal, runId: string): Display {
  if (terminal.interactive) return liveDisplay(terminal, runId);
  return args.has('json') ? silentDisplay : plainDisplay(terminal);
}

/** A run may take hours: that its bundle has no place is said before it starts. */
async function checkWritable(path: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK);
  } catch {
    throw new UsageError(
      `the bundle can't be written to ${JSON.stringify(path)}`,
      'Create the folder, or name another.',
    );
  }
}
