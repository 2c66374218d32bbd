import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { fillCache } from './install.ts';
import { findProgram, run } from './run.ts';

/** Lavapipe, a Vulkan driver for processors, of a Mesa that WebGPU takes: Debian 12 has a newer one than its own among the backports. */
const folder = cacheFolder('lavapipe-1');
const libraries = join(
  folder,
  'root',
  'usr',
  'lib',
  process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu',
);
const driver = join(folder, 'lavapipe.json');
const packages = ['mesa-vulkan-drivers', 'libvulkan1'];
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const programs = ['apt-get', 'dpkg-deb'];

/** The environment that shows it to Vulkan's loader; undefined where it isn't installed, or the system has drivers of its own. */
export function lavapipe(): Record<string, string> | undefined {
  if (!existsSync(driver) || hasVulkan()) return undefined;
  const paths = [libraries, process.env.LD_LIBRARY_PATH ?? ''].filter(Boolean);
  return { VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: paths.join(delimiter) };
}

/** So that tests of WGSL run, on Debian. It is unpacked beside the system, which stays as it is, and needs no root. */
export async function installLavapipe(report: (line: string) => void): Promise<void> {
  if (process.platform !== 'linux' || existsSync(driver) || hasVulkan()) return;
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  if (codename === undefined || !existsSync(keyring) || programs.some((name) => findProgram(name) === undefined)) {
    report('Lavapipe unavailable: getting it needs Debian; tests of WGSL are skipped where there is no Vulkan driver.');
    return;
  }
  report('Installing Lavapipe …');
  try {
    await fillCache({ kind: 'cache', folder, needs: [], build: (into) => build(into, codename) });
  } catch (error) {
    report(`Lavapipe unavailable: its installation failed: ${(error as Error).message}`);
  }
}

const hasVulkan = (): boolean => {
  try {
    return readdirSync('/usr/share/vulkan/icd.d').length > 0;
  } catch {
    return false;
  }
};

async function build(into: string, codename: string): Promise<void> {
  const suites = codename === 'bookworm' ? [codename, `${codename}-backports`] : [codename];
  const sources = join(into, 'sources.list');
  const lines = suites.map((suite) => `deb [signed-by=${keyring}] http://deb.debian.org/debian ${suite} main\n`);
  writeFileSync(sources, lines.join(''));
  const archives = join(into, 'cache', 'archives');
  for (const path of [join(into, 'lists', 'partial'), join(archives, 'partial')]) mkdirSync(path, { recursive: true });
  const apt = (...args: string[]): Promise<string> => {
    const settings = [
      `Dir::Etc::sourcelist=${sources}`,
      'Dir::Etc::sourceparts=-',
      `Dir::State::lists=${join(into, 'lists')}`,
      `Dir::Cache=${join(into, 'cache')}`,
      // It may not see a folder of ours.
      'APT::Sandbox::User=root',
      'Debug::NoLocking=1',
    ];
    return run('apt-get', ['-q', '-y', ...settings.flatMap((setting) => ['-o', setting]), ...args], {
      timeoutMs: 300_000,
    });
  };
  await apt('update');
  await apt('install', '--download-only', '--no-install-recommends', '-t', suites.at(-1) ?? codename, ...packages);
  for (const name of readdirSync(archives))
    if (name.endsWith('.deb')) await run('dpkg-deb', ['-x', join(archives, name), join(into, 'root')]);
  for (const path of [join(into, 'lists'), join(into, 'cache')]) rmSync(path, { recursive: true, force: true });
  const ICD = { api_version: '1.3.0', library_path: join(libraries, 'libvulkan_lvp.so') };
  writeFileSync(join(into, 'lavapipe.json'), JSON.stringify({ file_format_version: '1.0.0', ICD }));
}
