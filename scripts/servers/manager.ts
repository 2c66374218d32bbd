import { install } from './install.ts';
import { type Instance, isAlive, startInstance, stopInstance } from './instance.ts';
import { exclusively } from './lock.ts';
import { environmentVariable, givenUrl, type ServiceName, serviceNames } from './names.ts';
import { sweepPrivateServers } from './private.ts';
import { recipes } from './recipes.ts';
import { readState, type State, writeState } from './state.ts';

/** What is known of one server. */
export type ServiceReport = { name: ServiceName; title: string } & (
  | { kind: 'running'; url: string; version: string; pid: number; log: string; startedNow: boolean }
  | { kind: 'given'; url: string; version: string; variable: string }
  | { kind: 'stopped' }
  | { kind: 'unavailable'; reason: string }
);

export type Report = (line: string) => void;

const running = (name: ServiceName, { url, version, pid, log }: Instance, startedNow: boolean): ServiceReport => ({
  name,
  title: recipes[name].title,
  kind: 'running',
  url,
  version,
  pid,
  log,
  startedNow,
});

/** Asks somebody's own server for its version, which also says whether it can be used. */
async function given(name: ServiceName, url: string): Promise<ServiceReport> {
  const variable = environmentVariable(name);
  const { title, probe } = recipes[name];
  try {
    return { name, title, kind: 'given', url, version: await probe(url), variable };
  } catch (error) {
    const reason = `the server that ${variable} names doesn't answer: ${(error as Error).message}`;
    return { name, title, kind: 'unavailable', reason };
  }
}

async function answers(name: ServiceName, instance: Instance): Promise<boolean> {
  if (!isAlive(instance)) return false;
  return recipes[name].probe(instance.url).then(
    () => true,
    () => false,
  );
}

/** Servers that run already, are given, or are gone: what is left has to be started. */
async function keepOrClear(names: readonly ServiceName[], state: State): Promise<Map<ServiceName, ServiceReport>> {
  const known = new Map<ServiceName, ServiceReport>();
  const look = async (name: ServiceName): Promise<void> => {
    const url = givenUrl(name);
    const instance = state.services[name];
    if (url !== undefined) known.set(name, await given(name, url));
    else if (instance && (await answers(name, instance))) known.set(name, running(name, instance, false));
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
    const { instance } = await startInstance(name);
    state.services[name] = instance;
    return running(name, instance, true);
  } catch (error) {
    const reason = `it could not be started: ${(error as Error).message}`;
    state.unavailable[name] = reason;
    return { name, title: recipes[name].title, kind: 'unavailable', reason };
  } finally {
    writeState(state);
  }
}

/** Starts what doesn't run yet, installing it if need be. */
export function startServices(names: readonly ServiceName[], report: Report): Promise<ServiceReport[]> {
  let told = false;
  const waiting = (): void => {
    if (!told) report('Another process starts or stops servers of this checkout; waiting for it …');
    told = true;
  };
  const work = async (): Promise<ServiceReport[]> => {
    await sweepPrivateServers();
    const state = readState();
    const known = await keepOrClear(names, state);
    const wanted = names.filter((name) => !known.has(name));
    for (const name of names) delete state.unavailable[name];
    for (const [name, reason] of await install(wanted, report)) {
      state.unavailable[name] = reason;
      known.set(name, { name, title: recipes[name].title, kind: 'unavailable', reason });
    }
    for (const { name, ...rest } of known.values())
      if (rest.kind === 'unavailable') state.unavailable[name] = rest.reason;
    const startable = wanted.filter((name) => !known.has(name));
    if (startable.length > 0) report(`Starting ${startable.map((name) => recipes[name].title).join(', ')} …`);
    for (const result of await Promise.all(startable.map((name) => startOne(name, state))))
      known.set(result.name, result);
    writeState(state);
    return names.flatMap((name) => known.get(name) ?? []);
  };
  return exclusively(work, undefined, waiting);
}

/** Ends servers that we started. Returns which. */
export function stopServices(names: readonly ServiceName[]): Promise<ServiceName[]> {
  return exclusively(async () => {
    await sweepPrivateServers();
    const state = readState();
    const stopped = await Promise.all(
      names.map(async (name) => {
        const instance = state.services[name];
        if (!instance) return [];
        await stopInstance(instance);
        delete state.services[name];
        return [name];
      }),
    );
    writeState(state);
    return stopped.flat();
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
      if (instance && (await answers(name, instance))) return running(name, instance, false);
      if (instance)
        return {
          name,
          title,
          kind: 'unavailable',
          reason: `it was started as process ${instance.pid}, but doesn't answer`,
        };
      const reason = state.unavailable[name];
      return reason === undefined ? { name, title, kind: 'stopped' } : { name, title, kind: 'unavailable', reason };
    }),
  );
}
