import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { environmentVariable, type ServiceName } from './names.ts';
import type { Installation } from './recipe.ts';
import { recipes } from './recipes.ts';
import { findProgram, isRoot, run } from './run.ts';

/** Debian asks this program whether a package may start its service. */
const policy = '/usr/sbin/policy-rc.d';

/** While packages are installed, none may start a service: it would take a port and live on after the tests. */
async function withoutServices<T>(work: () => Promise<T>): Promise<T> {
  if (existsSync(policy)) return work();
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return await work();
  } finally {
    rmSync(policy, { force: true });
  }
}

/** As root on Debian. */
export async function installPackages(packages: readonly string[]): Promise<void> {
  // A machine that has just started may be installing something else.
  const patience = ['-q', '-o', 'DPkg::Lock::Timeout=300'];
  const settings = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeoutMs: 900_000,
    uninterrupted: true,
  };
  await run('apt-get', [...patience, 'update'], settings);
  await withoutServices(() =>
    run('apt-get', [...patience, 'install', '-y', '--no-install-recommends', ...packages], settings),
  );
}

/** Builds beside the final place and moves it there, so that a folder that exists is complete, whoever else builds it now. */
export async function fillCache({ folder, build }: Installation & { kind: 'cache' }): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true });
  const temporary = mkdtempSync(`${folder}-`);
  try {
    await build(temporary);
    if (!existsSync(folder)) renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Why a server can't be installed here; undefined where it can. */
function obstacle(installation: Installation): string | undefined {
  if (installation.kind === 'debian') {
    if (findProgram('apt-get') && isRoot()) return undefined;
    return `it isn't installed, and only root on Debian may install the package ${installation.package}`;
  }
  const missing = installation.needs.filter((program) => findProgram(program) === undefined);
  return missing.length === 0 ? undefined : `it isn't installed, and getting it needs ${missing.join(' and ')}`;
}

const hint = (name: ServiceName): string =>
  `Install it, or start it from compose.yaml, and set ${environmentVariable(name)} to its URL.`;

const outcome = async (names: readonly ServiceName[], work: Promise<unknown>): Promise<[ServiceName, string][]> => {
  try {
    await work;
    return [];
  } catch (error) {
    return names.map((name) => [name, `its installation failed: ${(error as Error).message}\n${hint(name)}`]);
  }
};

/** Installs what is missing. Returns, for each server that still is, why. */
export async function install(
  names: readonly ServiceName[],
  report: (line: string) => void,
): Promise<Map<ServiceName, string>> {
  const missing = names.filter((name) => recipes[name].find() === undefined);
  const impossible = new Map<ServiceName, string>();
  const packages = new Map<ServiceName, string>();
  const folders: [ServiceName, Installation & { kind: 'cache' }][] = [];
  for (const name of missing) {
    const { installation } = recipes[name];
    const why = obstacle(installation);
    if (why !== undefined) impossible.set(name, `${why}. ${hint(name)}`);
    else if (installation.kind === 'debian') packages.set(name, installation.package);
    else folders.push([name, installation]);
  }
  const wanted = [...packages.keys(), ...folders.map(([name]) => name)];
  if (wanted.length > 0) report(`Installing ${wanted.map((name) => recipes[name].title).join(', ')} …`);
  const work = [
    ...(packages.size > 0 ? [outcome([...packages.keys()], installPackages([...packages.values()]))] : []),
    ...folders.map(([name, installation]) => outcome([name], fillCache(installation))),
  ];
  const failed = (await Promise.all(work)).flat();
  const unseen = wanted
    .filter((name) => recipes[name].find() === undefined && !failed.some(([other]) => other === name))
    .map((name): [ServiceName, string] => [name, `it was installed but its program isn't found. ${hint(name)}`]);
  return new Map([...impossible, ...failed, ...unseen]);
}
