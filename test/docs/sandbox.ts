import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
const path = (name: string): string => fileURLToPath(new URL(name, root));

/** A folder in which the documented commands work as they would for a user who has installed the package there. */
export class Sandbox {
  readonly folder: string;
  readonly #children: ChildProcess[] = [];
  #port = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<Sandbox> {
    const sandbox = new Sandbox(await mkdtemp(join(tmpdir(), 'docs-')));
    sandbox.#port = await freePort();
    await sandbox.#install();
    return sandbox;
  }

  /** `jsonflow`, `npx jsonflow` and the package `jsonflow`, all from this checkout. */
  async #install(): Promise<void> {
    const command = `exec "${process.execPath}" "${path('bin/jsonflow.js')}" "$@"\n`;
    await mkdir(join(this.folder, 'bin'));
    for (const [name, body] of [
      ['jsonflow', command],
      ['npx', `shift\n${command}`],
      ['node', `exec "${process.execPath}" "$@"\n`],
    ] as const) {
      await writeFile(join(this.folder, 'bin', name), `#!/bin/sh\n${body}`);
      await chmod(join(this.folder, 'bin', name), 0o755);
    }
    await this.write('node_modules/jsonflow/package.json', '{ "type": "module", "exports": "./index.js" }');
    const index = new URL('src/index.ts', root).href;
    await this.write('node_modules/jsonflow/index.js', `export * from ${JSON.stringify(index)};\n`);
  }

  async write(name: string, text: string): Promise<string> {
    const file = join(this.folder, name);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text);
    return file;
  }

  /** Runs a shell script to its end; any command in it that fails fails it. */
  async run(script: string): Promise<{ code: number | null; out: string; err: string }> {
    const child = this.#spawn('bash', ['-euo', 'pipefail', '-c', script.replaceAll(':8080', `:${this.#port}`)]);
    let out = '';
    let err = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      out += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      err += text;
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, out, err };
  }

  /** Starts a command that stays, and waits until it says that it is ready. */
  async start(command: string): Promise<void> {
    const line = command
      .replaceAll(/(:|--port )8080/g, `$1${this.#port}`)
      // `npx` is a script here; the signal that ends it must reach the command.
      .replace(/^(npx )?jsonflow/, 'exec jsonflow');
    const child = this.#spawn('bash', ['-c', line]);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr])
        stream?.setEncoding('utf8').on('data', (text) => {
          said += text;
          if (/ready/i.test(said)) resolve();
        });
      child.on('close', () => reject(new Error(`${command}\n${said}`)));
    });
  }

  #spawn(command: string, args: readonly string[]): ChildProcess {
    const { JSONFLOW_CONNECT: _, ...env } = process.env;
    const child = spawn(command, args, {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...env, PATH: `${join(this.folder, 'bin')}${delimiter}${process.env.PATH}`, NO_COLOR: '1' },
    });
    this.#children.push(child);
    return child;
  }

  async close(): Promise<void> {
    // The last one first: workers before their coordinator.
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.on('close', resolve));
      child.kill('SIGTERM');
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
