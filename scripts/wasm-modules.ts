// Builds the example modules of WebAssembly from their sources in examples/wasm/ into modules/, as far as this machine has the toolchains.
//
//   node scripts/wasm-modules.ts            builds, and writes modules/digests.json
//   node scripts/wasm-modules.ts --check    builds each twice elsewhere and compares with modules/digests.json; writes nothing
//   … NAME.wasm …                           only these
//
// Toolchains: npm's assemblyscript; Debian 12's clang lld libclang-rt-14-dev-wasm32 rustc libstd-rust-dev-wasm32; Go. Another version of a compiler
// gives other bytes, so a digest says which version it is of, and others are not compared.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

interface Digest {
  sha256: string;
  sizeBytes: number;
  /** Compiler and version that gave these bytes. */
  toolchain: string;
  /** Whether modules/ holds the module; one that is large is built where it is wanted. */
  committed: boolean;
}

interface Toolchain {
  /** What the digest names: compiler and version. */
  version: string;
  /** Compiles within `folder`, a copy of the module's sources. */
  compile(folder: string, name: string): void;
}

interface Source {
  /** Also the name of its folder. */
  name: string;
  committed: boolean;
  /** Why not, as a text, where the machine lacks something. */
  toolchain(): Toolchain | string;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const modulesFolder = join(root, 'modules');
const digestsFile = join(modulesFolder, 'digests.json');

const sources: readonly Source[] = [
  { name: 'crypto_hash', committed: true, toolchain: rust },
  { name: 'etl_transform', committed: true, toolchain: rust },
  { name: 'image_processor', committed: true, toolchain: clang },
  { name: 'matrix_multiply', committed: true, toolchain: clang },
  { name: 'ml_training', committed: true, toolchain: assemblyscript },
  // Megabytes of Go's runtime.
  { name: 'text_report', committed: false, toolchain: go },
];

function output(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 280_000,
    ...options,
  });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(`${command} ended with ${status}: ${stderr.slice(0, 4_000)}${stdout.slice(0, 1_000)}`);
  return stdout;
}

/** The first of some commands that a test passes for. */
function found(commands: readonly (string | undefined)[], passes: (command: string) => boolean): string | undefined {
  return commands.find((command): command is string => {
    try {
      return command !== undefined && passes(command);
    } catch {
      return false;
    }
  });
}

const linker = (): string | undefined =>
  found(['wasm-ld-14', 'wasm-ld'], (command) => output(command, ['--version']) !== '');

function rust(): Toolchain | string {
  const target = 'wasm32-unknown-unknown';
  const rustc = found([process.env.RUSTC, '/usr/bin/rustc', 'rustc'], (command) =>
    existsSync(output(command, ['--print', 'target-libdir', '--target', target]).trim()),
  );
  const ld = linker();
  if (rustc === undefined) return `needs a rustc with the target ${target} (Debian: rustc libstd-rust-dev-wasm32)`;
  if (ld === undefined) return 'needs wasm-ld (Debian: lld)';
  const options = [
    'opt-level=3',
    'panic=abort',
    'lto=fat',
    'codegen-units=1',
    'strip=symbols',
    'link-arg=-zstack-size=32768',
  ];
  return {
    version: output(rustc, ['--version']).trim(),
    compile: (folder, name) => {
      const flags = [...options, `linker=${ld}`, 'linker-flavor=wasm-ld'].flatMap((option) => ['-C', option]);
      const shape = ['--edition', '2021', '--crate-type', 'cdylib', '--target', target];
      output(rustc, [...shape, ...flags, `${name}.rs`, '-o', `${name}.wasm`], { cwd: folder });
    },
  };
}

function go(): Toolchain | string {
  const command = found(['go', '/usr/local/go/bin/go'], (command) => output(command, ['version']) !== '');
  if (command === undefined) return 'needs Go 1.21 or later, for GOOS=wasip1';
  const env = {
    ...process.env,
    GOOS: 'wasip1',
    GOARCH: 'wasm',
    GOTOOLCHAIN: 'local',
    GO111MODULE: 'off',
    GOFLAGS: '',
    GOWASM: '',
  };
  return {
    version: output(command, ['env', 'GOVERSION']).trim(),
    compile: (cwd, name) => {
      const flags = ['-trimpath', '-buildvcs=false', '-ldflags', '-s -w -buildid='];
      output(command, ['build', ...flags, '-o', `${name}.wasm`, `${name}.go`], { cwd, env });
    },
  };
}

function installed(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json'));
  } catch {
    return undefined;
  }
}

function assemblyscript(): Toolchain | string {
  const folder = installed();
  if (folder === undefined) return 'needs assemblyscript (npm install)';
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return {
    version: `assemblyscript ${version}`,
    compile: (cwd, name) => {
      // The sources are named otherwise, so that nobody takes them for TypeScript.
      for (const file of readdirSync(cwd).filter((file) => file.endsWith('.as')))
        renameSync(join(cwd, file), join(cwd, file.replace(/as$/, 'ts')));
      const flags = ['--optimizeLevel', '3', '--shrinkLevel', '0', '--noAssert', '--converge'];
      output(process.execPath, [join(folder, 'bin', 'asc.js'), `${name}.ts`, ...flags, '-o', `${name}.wasm`], { cwd });
    },
  };
}

/** Linked by hand: clang would run whatever wasm-opt it finds over the module. */
function clang(): Toolchain | string {
  const command = found([process.env.CLANG, 'clang-14', 'clang'], (command) =>
    output(command, ['--print-targets']).includes('wasm32'),
  );
  const ld = linker();
  if (command === undefined || ld === undefined)
    return 'needs clang with the target wasm32 and wasm-ld (Debian: clang lld)';
  const flags = ['--target=wasm32', '-std=c17', '-O3', '-msimd128', '-mbulk-memory', '-ffreestanding'];
  return {
    version: /clang version [0-9.]+/.exec(output(command, ['--version']))?.[0] ?? 'clang',
    compile: (cwd, name) => {
      const files = readdirSync(cwd).filter((file) => file.endsWith('.c'));
      output(command, [...flags, '-Wall', '-Wextra', '-Werror', '-c', ...files.sort()], { cwd });
      const objects = files.map((file) => file.replace(/c$/, 'o'));
      output(ld, ['--no-entry', '-z', 'stack-size=65536', '--strip-all', ...objects, '-o', `${name}.wasm`], { cwd });
    },
  };
}

/** Compiles a copy in a folder whose name differs each time, so that no path of the machine gets into the module unseen. */
function built(source: Source, toolchain: Toolchain): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-modules-'));
  try {
    cpSync(join(root, 'examples', 'wasm', source.name), folder, { recursive: true });
    toolchain.compile(folder, source.name);
    return readFileSync(join(folder, `${source.name}.wasm`));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function check(source: Source, toolchain: Toolchain, known: Digest | undefined): string | undefined {
  const file = `${source.name}.wasm`;
  if (known === undefined) return `${file} has no digest in modules/digests.json`;
  const digest = digestOf(built(source, toolchain));
  if (digest !== digestOf(built(source, toolchain))) return `${file}: two builds differ`;
  if (known.toolchain !== toolchain.version) {
    notBuilt.push(`${file}: its digest is of ${known.toolchain}; this machine has ${toolchain.version}`);
    return undefined;
  }
  if (digest !== known.sha256) return `${file}: the sources give ${digest}, modules/digests.json says ${known.sha256}`;
  console.log(`${file}: built twice by ${toolchain.version}, as committed (${digest})`);
  return undefined;
}

/** What is committed is what its digest says, whoever can build it. */
function checkCommitted(file: string, known: Digest): string | undefined {
  if (!known.committed) return undefined;
  const path = join(modulesFolder, file);
  if (!existsSync(path)) return `modules/${file} is missing`;
  const digest = digestOf(readFileSync(path));
  return digest === known.sha256
    ? undefined
    : `modules/${file} is ${digest}, modules/digests.json says ${known.sha256}`;
}

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true });
const digests: Record<string, Digest> = existsSync(digestsFile) ? JSON.parse(readFileSync(digestsFile, 'utf8')) : {};
const notBuilt: string[] = [];
const wrong: string[] = [];
const note = (problem: string | undefined): void => {
  if (problem !== undefined) wrong.push(problem);
};

if (values.check === true) for (const [file, known] of Object.entries(digests)) note(checkCommitted(file, known));
for (const source of sources) {
  const file = `${source.name}.wasm`;
  if (positionals.length > 0 && !positionals.includes(file)) continue;
  const toolchain = source.toolchain();
  if (typeof toolchain === 'string') {
    notBuilt.push(`${file} ${toolchain}`);
  } else if (values.check === true) {
    note(check(source, toolchain, digests[file]));
  } else {
    const bytes = built(source, toolchain);
    if (source.committed) writeFileSync(join(modulesFolder, file), bytes);
    digests[file] = {
      sha256: digestOf(bytes),
      sizeBytes: bytes.length,
      toolchain: toolchain.version,
      committed: source.committed,
    };
    console.log(`${file}: ${bytes.length} bytes, ${digestOf(bytes)}, by ${toolchain.version}`);
  }
}
if (values.check !== true) {
  const sorted = Object.fromEntries(Object.entries(digests).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(digestsFile, `${JSON.stringify(sorted, null, 2)}\n`);
}
for (const line of notBuilt) console.error(`NOT BUILT: ${line}`);
for (const line of wrong) console.error(`WRONG: ${line}`);
if (wrong.length > 0) process.exitCode = 1;
