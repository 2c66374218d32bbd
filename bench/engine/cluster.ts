import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DistributedEngine, type EngineConfig } from '../../src/compose/distributed-engine.ts';

export interface Cluster {
  engine: DistributedEngine;
  close(): Promise<void>;
}

const workerFile = fileURLToPath(new URL('./worker-process.ts', import.meta.url));

/** A coordinator in this process with a SQLite journal in a temporary directory, and `workers` worker processes. */
export async function startCluster(
  workers: number,
  options: { slots?: number; engine?: EngineConfig } = {},
): Promise<Cluster> {
  const dir = await mkdtemp(join(tmpdir(), 'jsonflow-bench-'));
  const capabilities = options.slots === undefined ? {} : { max_concurrent_steps: options.slots };
  const engine = new DistributedEngine({
    dataDir: dir,
    capabilities,
    ...(workers > 0 ? { port: 0 } : {}),
    ...options.engine,
  });
  await engine.start();
  const children = await Promise.all(
    Array.from({ length: workers }, (_, i) => startWorker(engine.url ?? '', `worker-${i + 1}`, options.slots)),
  );
  return {
    engine,
    async close() {
      await engine.close();
      for (const child of children) child.kill('SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function startWorker(url: string, name: string, slots: number | undefined) {
  const child = spawn(process.execPath, [workerFile, url, name, String(slots ?? '')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise<typeof child>((resolve, reject) => {
    child.stdout.once('data', () => resolve(child));
    child.once('exit', (code) => reject(new Error(`worker ${name} exited with ${code} before it was ready`)));
  });
}
