// The main job, with nothing simulated: a coordinator and three workers as processes of their own run a workflow over 10,000 rows;
// one worker is killed in the middle of a step; the run completes on the others; its bundle verifies, and a copy with one flipped
// bit does not. Every claim is checked; the exit code is 0 only if all of them hold.
// `npm run demo -- DIR` keeps the bundle and the keys in DIR.
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createClient } from '../../src/cli/client.ts';
import { duration, paint, processTerminal } from '../../src/cli/terminal.ts';
import { type Display, liveDisplay, plainDisplay } from '../../src/cli/view/screen.ts';
import { summary } from '../../src/cli/view/summary.ts';
import { encodeBundle, type StreamEvent } from '../../src/compose/offline.ts';
import type { JSONObject } from '../../src/lib/json.ts';
import type { DistributedResult } from '../../src/protocol/result.ts';
import type { Workflow } from '../../src/protocol/workflow.ts';
import { Cluster, jsonflow } from './cluster.ts';
import { resultTables } from './tables.ts';

const [, , keepIn] = process.argv;
const workers = ['worker-1', 'worker-2', 'worker-3'];
const terminal = processTerminal();
const say = (text = ''): void => terminal.out(`${text}\n`);
const began = performance.now();
const failures: string[] = [];

/** One claim of the demo: shown, and counted where it is false. */
function claim(holds: boolean, text: string): void {
  say(`${holds ? paint('green', '✔') : paint('red', '✘')} ${text}`);
  if (!holds) failures.push(text);
}

const chapter = (text: string): void => say(`\n${paint('bold', text)}`);

const folder = await mkdtemp(join(tmpdir(), 'jsonflow-demo-'));
const cluster = new Cluster(folder);
const interrupted = Promise.withResolvers<'SIGINT' | 'SIGTERM'>();
const forget = terminal.onInterrupt(interrupted.resolve);
const shown = demo();
// Where the race is lost to an interrupt, what becomes of the demo is of no interest.
shown.catch(() => {});
try {
  const signal = await Promise.race([shown, interrupted.promise]);
  if (signal !== undefined) {
    cluster.killAll();
    process.exitCode = signal === 'SIGINT' ? 130 : 143;
  } else if (failures.length > 0) {
    say(`\n${paint('red', 'The demo did not show what it should:')} ${failures.join('; ')}`);
    process.exitCode = 1;
  } else say(`\nAll of it happened, in ${duration(performance.now() - began)}. By hand: README.md, “A cluster”`);
} finally {
  await cluster.close();
  forget();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
// An interrupted demo still waits for answers.
process.exit();

async function demo(): Promise<void> {
  chapter('1  Four processes');
  const url = await startCluster();
  const client = createClient({ url });

  chapter('2  A run, and a SIGKILL in the middle of it');
  const workflow = await readFile(new URL('workflow.json', import.meta.url), 'utf8');
  const input = JSON.parse(await readFile(new URL('../data/bird-strikes.json', import.meta.url), 'utf8')) as JSONObject;
  const steps = (JSON.parse(workflow) as Workflow).steps.length;
  say(`${steps} steps over 10,000 reports of aircraft that hit birds (FAA; see examples/data). No step only`);
  say(`waits: the four slow ones compare reports in pairs. The first of them to report progress loses its worker.\n`);
  const { run_id: runId } = await client.submit({ workflow, input });
  const death = await watch(client.events(runId), runId);
  const result = await client.result(runId);
  say();
  const { succeeded } = result.stats;
  claim(result.status === 'completed' && succeeded === steps, `the run completed: ${succeeded} of ${steps} steps`);
  await checkDeath(result, death, steps);

  chapter('3  The result');
  say(resultTables(result.outputs));

  chapter('4  Where each step ran, and why');
  say(summary({ ...result, outputs: {} }, Math.max(terminal.size().columns, 110)));

  chapter('5  The proof');
  const bundle = join(folder, 'bundle.json');
  const keys = join(folder, 'keys.json');
  await writeFile(bundle, encodeBundle(await client.bundle(runId)));
  await writeFile(keys, JSON.stringify(await client.trust()));
  await cluster.close();
  say('All nodes are stopped: what follows needs only two files.');
  await prove(bundle, keys, steps);
  if (keepIn === undefined) return;
  await mkdir(keepIn, { recursive: true });
  for (const file of [bundle, keys]) await copyFile(file, join(keepIn, basename(file)));
  say(`\nKept: ${join(keepIn, 'bundle.json')} and keys.json`);
}

async function startCluster(): Promise<string> {
  const { pid, url, http_url: httpUrl } = await cluster.start('coordinator', ['--role', 'coordinator', '--port', '0']);
  if (url === undefined || httpUrl === undefined) throw new Error('the coordinator did not say where it listens');
  say(`coordinator  pid ${pid}  ${httpUrl}`);
  const started = workers.map(async (name) => {
    const flags = ['--role', 'worker', '--connect', url, '--resources', 'cpu_cores=2,ram_mb=2048', '--slots', '4'];
    const ready = await cluster.start(name, flags);
    say(`${name}     pid ${ready.pid}  4 slots, 2 cores to reserve`);
  });
  await Promise.all(started);
  return httpUrl;
}

interface Death {
  node: string;
  step: string;
}

/** Shows the run, and kills the worker on which the first slow step reports progress. */
async function watch(events: AsyncIterable<StreamEvent>, runId: string): Promise<Death | undefined> {
  const open = (): Display => (terminal.interactive ? liveDisplay(terminal, runId) : plainDisplay(terminal));
  let display = open();
  const seen: StreamEvent[] = [];
  const nodes = new Map<string, string>();
  let death: Death | undefined;
  try {
    for await (const item of events) {
      const { event } = item;
      seen.push(item);
      display.show(item);
      if (event.kind === 'step.assigned') nodes.set(event.step, event.node);
      if (event.kind !== 'step.progress' || death !== undefined || !event.step.endsWith('_swarms')) continue;
      const node = nodes.get(event.step) ?? '';
      if (!workers.includes(node)) continue;
      cluster.kill(node);
      death = { node, step: event.step };
      const note = `SIGKILL to ${node} while it runs ${event.step}`;
      if (terminal.interactive) {
        // The picture of that moment stays; a new one goes on below it.
        display.end();
        terminal.err(`\n${paint('yellow', note)}\n\n`);
        display = open();
        for (const earlier of seen) display.show(earlier);
      } else terminal.err(`${paint('yellow', `>>> ${note}`)}\n`);
    }
  } finally {
    display.end();
  }
  return death;
}

async function checkDeath(result: DistributedResult, death: Death | undefined, steps: number): Promise<void> {
  if (death === undefined) return claim(false, 'a worker was killed while it ran a step');
  const { node, step } = death;
  claim(await cluster.wasKilled(node), `${node} was killed by SIGKILL while it ran ${step}`);
  const attempts = result.execution_trace.timeline.filter((entry) => entry.step_id === step);
  const [first, last] = [attempts[0], attempts.at(-1)];
  claim(
    first?.node === node && first.outcome === 'reassigned' && last?.outcome === 'success' && last.node !== node,
    `${step} went from ${first?.node} (attempt ${first?.attempt}) to ${last?.node} (attempt ${last?.attempt}), which completed it`,
  );
  const receipts = result.receipts.filter((receipt) => receipt.status === 'success');
  const before = receipts.filter((receipt) => receipt.execution_metadata.executor_node === node).length;
  claim(
    receipts.length === steps && new Set(receipts.map((receipt) => receipt.step_id)).size === steps,
    `each step counts once: ${receipts.length} receipts, ${before} of them signed by ${node} before it died`,
  );
}

async function prove(bundle: string, keys: string, steps: number): Promise<void> {
  const verified = await jsonflow('verify', bundle, '--trust', keys);
  say(verified.output);
  claim(verified.code === 0, `jsonflow verify bundle.json --trust keys.json → exit code ${verified.code}`);

  const copy = join(folder, 'copy.json');
  await copyFile(bundle, copy);
  const bytes = await readFile(copy);
  const deer = '"strikes":33';
  const found = bytes.indexOf(deer, bytes.lastIndexOf('"species_table":{'));
  const place = found + deer.length - 1;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  await writeFile(copy, bytes);
  say(`\nIn a copy one bit is flipped, at byte ${place} of ${bytes.length}: 33 strikes by deer become 32.`);
  const refused = await jsonflow('verify', copy, '--trust', keys);
  say(
    `${refused.output
      .split('\n')
      .filter((line) => /^(✘|[A-Z_]+ [^ ]+:)/.test(line))
      .join('\n')}`,
  );
  claim(found > 0 && refused.code === 4, `the copy is refused → exit code ${refused.code}`);

  const replayed = await jsonflow('replay', bundle, '--json');
  const report = JSON.parse(replayed.output) as { same: number; different: number };
  claim(
    replayed.code === 0 && report.same === steps,
    `jsonflow replay bundle.json → ${report.same} of ${steps} steps, run again, gave the same output`,
  );
}
