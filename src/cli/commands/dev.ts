import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { isObject } from '../../lib/json.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit, UsageError } from '../exit.ts';
import { integerOf } from '../input.ts';
import { paint, type Style, type Terminal } from '../terminal.ts';

const colours: readonly Style[] = ['cyan', 'green', 'yellow', 'magenta', 'blue'];
const launcher = fileURLToPath(new URL('../../../bin/jsonflow.js', import.meta.url));
/** A node that has not closed by then is killed. */
const CLOSE_TIMEOUT_MS = 15_000;

interface Member {
  process: ChildProcess;
  /** Its ready line; rejects when it ends before. */
  ready: Promise<Record<string, unknown>>;
  ended: Promise<void>;
}

/** `jsonflow dev`: a coordinator and workers as processes of their own, which end with this one. */
export async function dev(args: Args, terminal: Terminal): Promise<ExitCode> {
  const workers = integerOf(args.get('workers') ?? '2', '--workers', 0, 64);
  const port = integerOf(args.get('port') ?? '8080', '--port', 0, 65_535);
  const folder = args.get('data-dir') ?? join('.jsonflow', 'dev');
  const env = { ...terminal.env, JSONFLOW_JOIN_TOKEN: randomBytes(24).toString('base64url') };
  const members: Member[] = [];
  const asked = Promise.withResolvers<'asked'>();
  const forget = terminal.onInterrupt(() => asked.resolve('asked'));
  const start = (name: string, flags: readonly string[]): Member => {
    const style = colours[members.length % colours.length] ?? 'cyan';
    const member = startNode(name, [...flags, '--data-dir', join(folder, name)], env, style, terminal);
    members.push(member);
    return member;
  };
  try {
    const coordinator = start('coordinator', ['--role', 'coordinator', '--port', String(port)]);
    const ready = await Promise.race([coordinator.ready, asked.promise]);
    if (ready === 'asked') return exit.ok;
    const { url, http_url: httpUrl } = ready;
    const names = Array.from({ length: workers }, (_, index) => `worker-${index + 1}`);
    const started = names.map((name) => start(name, ['--role', 'worker', '--connect', String(url)]).ready);
    if ((await Promise.race([Promise.all(started), asked.promise])) === 'asked') return exit.ok;
    terminal.out(`Ready: ${httpUrl} with ${workers} worker${workers === 1 ? '' : 's'}. Ctrl-C ends it.\n`);
    terminal.err(`Try: jsonflow run FILE --connect ${httpUrl}\n`);
    const outcome = await Promise.race([coordinator.ended.then(() => 'ended' as const), asked.promise]);
    if (outcome === 'ended') throw new UsageError('the coordinator has ended', 'See its lines above.');
    return exit.ok;
  } finally {
    forget();
    await closeAll(members);
  }
}

function startNode(
  name: string,
  flags: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  style: Style,
  terminal: Terminal,
): Member {
  const child = spawn(process.execPath, [launcher, 'node', '--json', '--node-id', name, ...flags], {
    // A group of its own keeps the terminal's Ctrl-C from the node, so that workers close before the coordinator does. The
    // channel ends the node with this process, however that ends.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...env, JSONFLOW_TETHERED: '1' },
  });
  const ready = Promise.withResolvers<Record<string, unknown>>();
  ready.promise.catch(() => {});
  const say = (line: string): void => terminal.err(`${paint(style, name.padEnd(12))} ${line}\n`);
  onLines(child.stdout, (line) => {
    const message = parsed(line);
    if (message?.ready !== true) return say(line);
    say('ready');
    ready.resolve(message);
  });
  onLines(child.stderr, say);
  const ended = new Promise<void>((resolve) => {
    const gone = (why: string): void => {
      ready.reject(new UsageError(`${name} did not start: ${why}`, 'See its lines above.'));
      resolve();
    };
    child.on('error', (error) => gone(error.message));
    child.on('exit', (code, signal) => {
      say(`ended (${signal ?? code})`);
      gone(`it ended with ${signal ?? code}`);
    });
  });
  return { process: child, ready: ready.promise, ended };
}

function onLines(stream: Readable | null, fn: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on('line', fn);
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Workers first, so that they can hand back what they run. */
async function closeAll([coordinator, ...workers]: readonly Member[]): Promise<void> {
  const close = async (member: Member): Promise<void> => {
    if (member.process.exitCode !== null || member.process.signalCode !== null) return;
    member.process.kill('SIGTERM');
    const timer = setTimeout(() => member.process.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    await member.ended;
    clearTimeout(timer);
  };
  await Promise.all(workers.map(close));
  if (coordinator !== undefined) await close(coordinator);
}
