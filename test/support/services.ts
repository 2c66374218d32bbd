// Real servers for tests, which `scripts/services start` or `npm test` has started, or which somebody's variables name.
import { describe, test } from 'node:test';
import { environmentVariable, givenUrl, type ServiceName } from '../../scripts/servers/names.ts';
import { PrivateServer } from '../../scripts/servers/private.ts';
import { isRunning } from '../../scripts/servers/process-id.ts';
import { recipes } from '../../scripts/servers/recipes.ts';
import { readState } from '../../scripts/servers/state.ts';

export type { ServiceName } from '../../scripts/servers/names.ts';

/** Where a server is, or why there is none. */
export type Service = { url: string; unavailable?: never } | { unavailable: string; url?: never };

/** The server that tests share. Its variable, for example JSONFLOW_TEST_POSTGRES, goes before what this checkout started. */
export function service(name: ServiceName): Service {
  const url = givenUrl(name);
  if (url !== undefined) return { url };
  const { services, unavailable } = readState();
  const instance = services[name];
  if (instance?.processes.every(isRunning)) return { url: instance.url };
  const start = `run scripts/services start ${name}, or set ${environmentVariable(name)} to the URL of one`;
  if (instance) return { unavailable: `${name} ran as process ${instance.pid}, which has ended; ${start}` };
  const reason = unavailable[name];
  return { unavailable: reason === undefined ? `${name} doesn't run; ${start}` : `${name}: ${reason}` };
}

/** The URL of a server that must be there: for use within `describeWith`. */
export function serviceUrl(name: ServiceName): string {
  const { url, unavailable } = service(name);
  if (url === undefined) throw new Error(unavailable);
  return url;
}

/** Whether a server that isn't there fails its tests, as it does in CI, rather than skipping them. */
const required = (): boolean => process.env.JSONFLOW_SERVICES === 'required';

/** Why tests of this server are to be skipped, for the option `skip`; false if they are to run, or to fail. */
export function skipReason(name: ServiceName): string | false {
  const { unavailable } = service(name);
  return unavailable !== undefined && !required() ? unavailable : false;
}

/**
 * A `describe` for tests that use a server. `fn` gets its URL. Where it isn't there, one test stands for them all: skipped with the
 * reason, or failed with it where JSONFLOW_SERVICES=required.
 */
export function describeWith(name: ServiceName, title: string, fn: (url: string) => void): void {
  const { url, unavailable } = service(name);
  if (url !== undefined) {
    describe(title, () => fn(url));
    return;
  }
  test(title, { skip: skipReason(name) }, () => {
    throw new Error(`JSONFLOW_SERVICES=required, but there is no server: ${unavailable}`);
  });
}

/**
 * A server of the test's own, which it may kill by SIGKILL (`kill`) and start again on the same port with the same data (`restart`).
 * `stop` ends it and removes its data; a test that forgets does so when its process ends.
 */
export const privateServer = (name: ServiceName): Promise<PrivateServer> => PrivateServer.start(name);

/** Like `skipReason`, for tests that use a private server: those need the program itself, not only a URL. */
export function privateSkipReason(name: ServiceName): string | false {
  if (recipes[name].find() !== undefined || required()) return false;
  return `${recipes[name].title} isn't installed here; run scripts/services start ${name}, which may be able to install it`;
}
