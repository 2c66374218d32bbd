import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { planWorkflow } from '../../src/core/workflow/plan.ts';
import type { Shape } from './shapes.ts';
import { measureCalls, type Speed } from './speed.ts';

const folder = fileURLToPath(new URL('./peers/', import.meta.url));

/** Runs the shapes on Restate: its own server and a service process, over loopback, with its defaults. */
export async function measurePeers(shapes: readonly Shape[], seconds: number): Promise<Speed[]> {
  install();
  const dir = await mkdtemp(join(tmpdir(), 'jsonflow-restate-'));
  const [service, ingress, admin, node] = await freePorts(4);
  const children: ChildProcess[] = [];
  try {
    children.push(spawn(process.execPath, ['restate-service.js', String(service)], { cwd: folder, stdio: 'ignore' }));
    children.push(
      spawn(
        serverBinary(),
        ['--base-dir', dir, '--bind-address', `127.0.0.1:${node}`, '--advertised-address', `http://127.0.0.1:${node}`],
        {
          stdio: 'ignore',
          env: {
            ...process.env,
            RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
            RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
          },
        },
      ),
    );
    await until(`http://127.0.0.1:${admin}/health`);
    await register(admin ?? 0, service ?? 0);
    const speeds: Speed[] = [];
    for (const shape of shapes) {
      const layers = layersOf(shape);
      speeds.push(await measureCalls(shape, seconds, () => call(ingress ?? 0, layers, shape.steps)));
    }
    return speeds;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  }
}

/** The server itself: a process behind the package's launcher would outlive it. */
const serverBinary = (): string => {
  const name = `restate-server-${process.platform}-${process.arch}`;
  return join(folder, 'node_modules', '@restatedev', name, 'bin', 'restate-server');
};

function install(): void {
  if (existsSync(join(folder, 'node_modules'))) return;
  const { status } = spawnSync('npm', ['install', '--no-fund', '--no-audit'], { cwd: folder, stdio: 'inherit' });
  if (status !== 0) throw new Error('the peers could not be installed');
}

function layersOf({ workflow }: Shape): string[][] {
  const plan = planWorkflow(workflow);
  const depth: number[] = [];
  const layers: string[][] = [];
  for (const index of plan.order) {
    const planned = plan.steps[index];
    const at = Math.max(-1, ...(planned?.parents ?? []).map((parent) => depth[parent] ?? 0)) + 1;
    depth[index] = at;
    layers[at] ??= [];
    layers[at].push(planned?.step.id ?? '');
  }
  return layers;
}

async function call(port: number, layers: string[][], steps: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/dag/run`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ layers }),
  });
  const answer: unknown = await response.json();
  if (answer !== steps) throw new Error(`Restate answered ${response.status}: ${JSON.stringify(answer)}`);
}

async function register(admin: number, service: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${admin}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
  });
  if (!response.ok) throw new Error(`Restate did not take the service: ${await response.text()}`);
}

async function until(url: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const up = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${url} did not answer within 30 s`);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
