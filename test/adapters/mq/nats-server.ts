import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recipes } from '../../../scripts/servers/recipes.ts';

/** A NATS server with a configuration of its own, on a free port. `{dir}` in the configuration is its folder. */
export async function natsServer(
  config: string,
  files: Record<string, string> = {},
): Promise<{ host: string; dir: string; stop(): Promise<void> }> {
  const program = recipes.nats.find();
  if (program === undefined) throw new Error('nats-server is not installed');
  const dir = mkdtempSync(join(tmpdir(), 'jsonflow-nats-test-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  const own = `listen: "127.0.0.1:-1"\njetstream { store_dir: "${dir}/data" }\n${config.replaceAll('{dir}', dir)}\n`;
  writeFileSync(join(dir, 'nats.conf'), own);
  const child = spawn(program, ['-c', join(dir, 'nats.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  let log = '';
  const port = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      log += chunk;
      const listening = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(log);
      if (listening?.[1] !== undefined && log.includes('Server is ready')) resolve(listening[1]);
    });
    child.once('exit', () => reject(new Error(log)));
  });
  return {
    host: `localhost:${port}`,
    dir,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
