import { install } from './install.ts';
import { type Instance, isAlive, startInstance, stopInstance } from './instance.ts';
import { exclusively } from './lock.ts';
import { environmentVariable, givenUrl, type ServiceName, serviceNames } from './names.ts';
import { sweepPrivateServers } from './private.ts';
import { isRunning, type ProcessId } from './process-id.ts';
import { recipes } from './recipes.ts';
import { readState, type State, writeState } from './state.ts';

/** What is known of one server. */
export type ServiceReport = { name: ServiceName; title: string } & (
  | { kind: 'running'; url: string; version: string; pid: number; log: string }
  | { kind: 'given'; url: string; version: string; variable: string }
  | { kind: 'stopped' }
  | { kind: 'unavailable'; reason: string }
);

export type Report = (line: string) => void;

const running = (name: ServiceName, { url, version, pid, log }: Instance): ServiceReport => ({
  name,
  title: recipes[name].title,
  kind: 'running',
  url,
  version,
  pid,
  log,
});

const unavailable = (name: ServiceName, reason: string): ServiceReport => ({
  name,
  title: recipes[name].title,
  kind: 'unavailable',
  reason,
});

/** Asks somebody's own server for its version, which also says whether it can be used. */
async function given(name: ServiceName, url: string): Promise<ServiceReport> {
  const variable = environmentVariable(name);
  const { title, probe } = recipes[name];
  try {
    return { name, title, kind: 'given', url, version: await probe(url), variable };
  } catch (error) {
    return unavailable(name, `the server that ${variable} names doesn't answer: ${(error as Error).message}`);
  }
}

async function answers(name: ServiceName, instance: Instance): Promise<boolean> {
  if (!isAlive(instance)) return false;
  return recipes[name].probe(instance.url).then(
    () => true,
    () => false,
  );
}

/** Clears up after commands and tests that were killed. Returns the state, which nobody else changes while the lock is held. */
async function sweep(): Promise<State> {
  await sweepPrivateServers();
  const state = readState();
  await Promise.all(Object.values(state.starting).map(stopInstance));
  state.starting = {};
  writeState(state);
  return state;
}

/** Servers that run already, are given, or are gone: what is left has to be started. */
async function keepOrClear(names: readonly ServiceName[], state: State): Promise<Map<ServiceName, ServiceReport>> {
  const known = new Map<ServiceName, ServiceReport>();
  const look = async (name: ServiceName): Promise<void> => {
    const url = givenUrl(name);
    const instance = state.services[name];
    if (url !== undefined) known.set(name, await given(name, url));
    else if (instance && (await answers(name, instance))) known.set(name, running(name, instance));
    else if (instance) {
      await stopInstance(instance);
      delete state.services[name];
    }
  };
  await Promise.all(names.map(look));
  writeState(state);
  return known;
}

async function startOne(name: ServiceName, state: State): Promise<ServiceReport> {
  try {
    const instance = await startInstance(name, (processes) => {
      state.starting[name] = processes;
      writeState(state);
    });
    state.services[name] = instance;
    return running(name, instance);
  } catch (error) {
    return unavailable(name, `it could not be started: ${(error as Error).message}`);
  } finally {
    delete state.starting[name];
    writeState(state);
  }
}

/** Starts what is missing and can be had, and says what came of each. */
async function startMissing(names: readonly ServiceName[], state: State, report: Report): Promise<ServiceReport[]> {
  const known = await keepOrClear(names, state);
  const missing = names.filter((name) => !known.has(name));
  const impossible = await install(missing, report);
  const startable = missing.filter((name) => !impossible.has(name));
  if (startable.length > 0) report(`Starting ${startable.map((name) => recipes[name].title).join(', ')} …`);
  const started = await Promise.all(startable.map((name) => startOne(name, state)));
  const refused = [...impossible].map(([name, reason]) => unavailable(name, reason));
  const all = new Map([...known.values(), ...refused, ...started].map((result) => [result.name, result]));
  return names.flatMap((name) => all.get(name) ?? []);
}

function noteUnavailable(reports: readonly ServiceReport[], state: State): void {
  for (const result of reports) {
    if (result.kind === 'unavailable') state.unavailable[result.name] = result.reason;
    else delete state.unavailable[result.name];
  }
}

/**
 * Starts what doesn't run yet, installing it if need be. With a user, what is started now is temporary: it goes with its last user.
 * Without, all of these servers stay until they are stopped.
 */
export function startServices(
  names: readonly ServiceName[],
  report: Report,
  user?: ProcessId,
): Promise<ServiceReport[]> {
  let told = false;
  const waiting = (): void => {
    if (!told) report('Another process starts or stops servers of this checkout; waiting for it …');
    told = true;
  };
  const work = async (): Promise<ServiceReport[]> => {
    const state = await sweep();
    const before = new Set(serviceNames.filter((name) => state.services[name]?.temporary === false));
    if (user) state.users = [...state.users.filter(isRunning), user];
    const reports = await startMissing(names, state, report);
    noteUnavailable(reports, state);
    for (const name of names) {
      const instance = state.services[name];
      if (instance) instance.temporary = user !== undefined && !before.has(name);
    }
    writeState(state);
    return reports;
  };
  return exclusively(work, undefined, waiting);
}

async function stopIn(state: State, names: readonly ServiceName[]): Promise<ServiceName[]> {
  const stop = async (name: ServiceName): Promise<ServiceName[]> => {
    const instance = state.services[name];
    if (!instance) return [];
    await stopInstance(instance);
    delete state.services[name];
    return [name];
  };
  const stopped = await Promise.all(names.map(stop));
  writeState(state);
  return stopped.flat();
}

/** Ends servers that we started. Returns which. */
export function stopServices(names: readonly ServiceName[]): Promise<ServiceName[]> {
  return exclusively(async () => {
    return stopIn(await sweep(), names);
  });
}

/** A user needs the servers no longer. The last one to say so ends those that are temporary. */
export function releaseServices(user: ProcessId): Promise<ServiceName[]> {
  return exclusively(async () => {
    const state = await sweep();
    state.users = state.users.filter((other) => other.pid !== user.pid && isRunning(other));
    const temporary = serviceNames.filter((name) => state.services[name]?.temporary);
    return stopIn(state, state.users.length === 0 ? temporary : []);
  });
}

/** How the servers are now. Starts nothing. */
export async function statusOfServices(names: readonly ServiceName[] = serviceNames): Promise<ServiceReport[]> {
  const state = readState();
  return Promise.all(
    names.map(async (name): Promise<ServiceReport> => {
      const { title } = recipes[name];
      const url = givenUrl(name);
      if (url !== undefined) return given(name, url);
      const instance = state.services[name];
      if (instance && (await answers(name, instance))) return running(name, instance);
      if (instance) return unavailable(name, `it was started as process ${instance.pid}, but doesn't answer`);
      const reason = state.unavailable[name];
      return reason === undefined ? { name, title, kind: 'stopped' } : unavailable(name, reason);
    }),
  );
}
