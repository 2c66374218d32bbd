import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, closeSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { interruption } from './interruption.ts';
import type { ServiceName } from './names.ts';
import { freePorts } from './ports.ts';
import { identify, isRunning, kill, type ProcessId, terminate } from './process-id.ts';
import type { Place, Program, Recipe } from './recipe.ts';
import { recipes } from './recipes.ts';
import { type Account, accountOf, lastLinesOf, type RunOptions, run } from './run.ts';

const READY_TIMEOUT_MS = 90_000;
const STOP_GRACE_MS = 10_000;
const POLL_MS = 100;

/** A server as it runs, in the form that the state file keeps. */
export interface Instance {
  name: ServiceName;
  url: string;
  version: string;
  /** The server itself. */
  pid: number;
  /** The server and its helpers. */
  processes: ProcessId[];
  dataDir: string;
  ports: readonly number[];
  log: string;
}

/** What has to be known of a server to end it. */
export type Leftover = Pick<Instance, 'processes' | 'dataDir'>;

/** What it takes to start a server again where it was. */
export interface Site {
  readonly name: ServiceName;
  readonly home: string;
  readonly place: Place;
}

/** Only what a server needs of our environment: it should run everywhere alike. */
function environment(dir: string, env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { PATH, JAVA_HOME, TMPDIR } = process.env;
  const given = { PATH, JAVA_HOME, TMPDIR, HOME: dir, LANG: 'C.UTF-8', ...env };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

const logOf = ({ dir }: Place): string => join(dir, 'log.txt');

function own(dir: string, account: Account | undefined): void {
  if (!account) return;
  const { uid, gid } = account;
  for (const path of ['.', ...readdirSync(dir, { recursive: true, encoding: 'utf8' })])
    chownSync(join(dir, path), uid, gid);
}

/** Makes a new place with its data, ready for a start. `onCreate` is told of it before there is much in it. */
export async function createSite(name: ServiceName, onCreate = (_: Leftover) => {}): Promise<Site> {
  interruption.throwIfAborted();
  const recipe = recipes[name];
  const home = recipe.find();
  if (home === undefined) throw new Error(`${recipe.title} isn't installed.`);
  const account = accountOf(recipe.user);
  const dir = mkdtempSync(join(tmpdir(), `jsonflow-${name}-`));
  onCreate({ processes: [], dataDir: dir });
  own(dir, account);
  const ports = await freePorts(recipe.portCount);
  const place = { dir, ports, password: randomBytes(12).toString('hex') };
  const runAs = async (command: string, args: readonly string[], options: RunOptions = {}): Promise<string> => {
    own(dir, account);
    return run(command, args, { cwd: dir, env: environment(dir), account, ...options });
  };
  try {
    await recipe.prepare(home, place, runAs);
    own(dir, account);
  } catch (error) {
    remove(dir);
    throw error;
  }
  return { name, home, place };
}

function remove(dir: string): void {
  // A server that was just killed may have left a child that still writes.
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Starts a process that outlives this one and takes no part in its terminal. */
function detach(program: Program, place: Place, account: Account | undefined): ProcessId {
  const log = openSync(logOf(place), 'a');
  try {
    const env = environment(place.dir, program.env);
    const settings = { cwd: place.dir, env, detached: true, stdio: ['ignore', log, log] as const, ...account };
    const child = spawn(program.command, program.args, { ...settings, stdio: ['ignore', log, log] });
    // Reported by its absence below.
    child.on('error', () => {});
    child.unref();
    const id = child.pid === undefined ? undefined : identify(child.pid);
    if (!id) throw new Error(`${program.command} ended as soon as it was started.\n${lastLinesOf(logOf(place))}`);
    return id;
  } finally {
    closeSync(log);
  }
}

/** Polls the server over its own protocol: one that accepts connections is often far from ready. */
async function ready(recipe: Recipe, url: string, server: ProcessId, place: Place): Promise<string> {
  let last: unknown;
  for (const end = performance.now() + READY_TIMEOUT_MS; performance.now() < end; await sleep(POLL_MS)) {
    interruption.throwIfAborted();
    try {
      return await recipe.probe(url);
    } catch (error) {
      last = error;
    }
    if (!isRunning(server))
      throw new Error(`${recipe.title} ended while it started. Its log:\n${lastLinesOf(logOf(place))}`);
  }
  const why = `it wasn't ready after ${READY_TIMEOUT_MS / 1000} s: ${(last as Error).message}`;
  throw new Error(`${recipe.title}: ${why}\nIts log:\n${lastLinesOf(logOf(place))}`);
}

/**
 * Starts a server at its place and waits until it serves. If it doesn't, nothing of it is left but its data. `onSpawn` is told of the
 * processes as soon as there are any.
 */
export async function launch({ name, home, place }: Site, onSpawn = (_: ProcessId[]) => {}): Promise<Instance> {
  const recipe = recipes[name];
  const account = accountOf(recipe.user);
  const [server, ...helpers] = recipe.programs(home, place);
  const started: ProcessId[] = [];
  try {
    for (const helper of helpers) started.push(detach(helper, place, account));
    const main = detach(server, place, account);
    started.unshift(main);
    onSpawn(started);
    const url = recipe.url(place);
    const version = (await ready(recipe, url, main, place)) || (recipe.version ?? '');
    const { dir, ports } = place;
    return { name, url, version, pid: main.pid, processes: started, dataDir: dir, ports, log: logOf(place) };
  } catch (error) {
    await kill(started);
    throw error;
  }
}

/** A new server. Once more with other ports if it fails, since another program may have taken one in the meantime. */
export async function startInstance(name: ServiceName, onSpawn: (found: Leftover) => void): Promise<Instance> {
  for (let attempt = 1; ; attempt++) {
    const site = await createSite(name, onSpawn);
    const dataDir = site.place.dir;
    try {
      return await launch(site, (processes) => onSpawn({ processes, dataDir }));
    } catch (error) {
      remove(dataDir);
      if (attempt === 2 || interruption.aborted) throw error;
    }
  }
}

/** Ends a server and removes its data. */
export async function stopInstance({ processes, dataDir }: Leftover): Promise<void> {
  const [server, ...helpers] = processes;
  if (server) await terminate([server], STOP_GRACE_MS);
  // The server says good-bye to them, so they go last.
  await terminate(helpers, STOP_GRACE_MS);
  remove(dataDir);
}

/** Whether the server and its helpers all run. */
export const isAlive = ({ processes }: Pick<Instance, 'processes'>): boolean => processes.every(isRunning);
