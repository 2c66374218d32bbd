import type { Args } from '../command.ts';
import { type ExitCode, exit } from '../exit.ts';
import { integerOf } from '../input.ts';
import { duration, oneLine, type Terminal, table } from '../terminal.ts';
import { eventLine } from '../view/event-line.ts';
import { summary } from '../view/summary.ts';
import { clientOf, jsonText } from './shared.ts';

const pairs = (values: Readonly<Record<string, unknown>>): string =>
  Object.entries(values)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');

/** `jsonflow nodes` */
export async function nodes(args: Args, terminal: Terminal): Promise<ExitCode> {
  const network = await (await clientOf(args, terminal)).network();
  if (args.has('json')) terminal.out(jsonText(network));
  else
    terminal.out(
      table([
        ['NODE', 'ROLE', 'STATE', 'LOAD', 'LATENCY', 'FREE', 'ADAPTERS'],
        ...network.nodes.map((node) => [
          oneLine(node.id),
          oneLine(node.role),
          oneLine(node.state),
          `${node.load.running}/${node.load.slots}`,
          node.latency_ms === null ? '-' : `${node.latency_ms.toFixed(1)} ms`,
          oneLine(pairs(node.resources.free)) || '-',
          oneLine(node.adapters.join(',')),
        ]),
      ]),
    );
  return exit.ok;
}

/** `jsonflow runs` */
export async function runs(args: Args, terminal: Terminal): Promise<ExitCode> {
  const client = await clientOf(args, terminal);
  const status = args.get('status');
  const cursor = args.get('cursor');
  const page = await client.runs({
    limit: integerOf(args.get('limit') ?? '20', '--limit', 1, 500),
    ...(status === undefined ? {} : { status: status as 'running' }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  if (args.has('json')) {
    terminal.out(jsonText(page));
    return exit.ok;
  }
  terminal.out(
    table([
      ['RUN', 'WORKFLOW', 'STATUS', 'STEPS', 'STARTED', 'TIME'],
      ...page.runs.map((run) => [
        oneLine(run.run_id),
        oneLine(run.workflow),
        oneLine(run.status),
        `${run.steps_done ?? '?'}/${run.steps_total}`,
        oneLine(run.started_at),
        run.finished_at === null ? '' : duration(Date.parse(run.finished_at) - Date.parse(run.started_at)),
      ]),
    ]),
  );
  if (page.cursor !== undefined) terminal.err(`More: jsonflow runs --cursor ${oneLine(page.cursor)}\n`);
  return exit.ok;
}

/** `jsonflow show` */
export async function show(args: Args, terminal: Terminal): Promise<ExitCode> {
  const result = await (await clientOf(args, terminal)).result(args.positionals[0] ?? '');
  terminal.out(args.has('json') ? jsonText(result) : summary(result, terminal.size().columns));
  return exit.ok;
}

/** `jsonflow logs` */
export async function logs(args: Args, terminal: Terminal): Promise<ExitCode> {
  const client = await clientOf(args, terminal);
  const [runId = ''] = args.positionals;
  const follow = args.has('follow');
  const stop = new AbortController();
  const forgetInterrupt = terminal.onInterrupt(() => stop.abort());
  const forgetReader = terminal.onReaderGone(() => stop.abort());
  const running = (await client.result(runId)).status === 'running';
  try {
    const events = client.events(runId, { signal: stop.signal })[Symbol.asyncIterator]();
    for (;;) {
      const item = await nextOf(events, running && !follow ? QUIET_MS : undefined);
      if (item === undefined || item.done === true) break;
      terminal.out(args.has('json') ? `${JSON.stringify(item.value)}\n` : `${eventLine(item.value)}\n`);
    }
  } finally {
    stop.abort();
    forgetInterrupt();
    forgetReader();
  }
  return exit.ok;
}

/** A running run's past is over when nothing came for so long. */
const QUIET_MS = 500;

async function nextOf<Item>(
  items: AsyncIterator<Item>,
  quietMs: number | undefined,
): Promise<IteratorResult<Item> | undefined> {
  const next = items.next();
  if (quietMs === undefined) return next;
  const quiet = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => quiet.resolve(undefined), quietMs);
  next.catch(() => {});
  try {
    return await Promise.race([next, quiet.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** `jsonflow cancel` */
export async function cancel(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [runId = ''] = args.positionals;
  const cancelled = await (await clientOf(args, terminal)).cancel(runId, args.get('why'));
  if (args.has('json')) terminal.out(jsonText({ run_id: runId, cancelled }));
  else terminal.out(cancelled ? `${runId} is being cancelled.\n` : `${runId} had ended already.\n`);
  return exit.ok;
}

/** `jsonflow keys` */
export async function keys(args: Args, terminal: Terminal): Promise<ExitCode> {
  terminal.out(jsonText(await (await clientOf(args, terminal)).trust()));
  return exit.ok;
}

/** `jsonflow token` */
export async function token(args: Args, terminal: Terminal): Promise<ExitCode> {
  const seconds = args.get('ttl');
  const ttlMs = seconds === undefined ? undefined : integerOf(seconds, '--ttl', 1, 600) * 1000;
  const created = await (await clientOf(args, terminal)).createJoinToken(ttlMs);
  terminal.out(args.has('json') ? jsonText(created) : `${oneLine(created.token)}\n`);
  return exit.ok;
}
