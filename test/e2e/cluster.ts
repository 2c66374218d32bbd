import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from './client.ts';
import { NodeProcess } from './processes.ts';

interface Cluster {
  client: Client;
  worker(nodeId: string, labels?: Record<string, string>): Promise<NodeProcess>;
}

/** A coordinator that runs no steps itself, in a process of its own, and workers as `use` asks for them; all of them end with it. */
export async function withCluster(use: (cluster: Cluster) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'jsonflow-cluster-'));
  const ledger = join(folder, 'unused');
  const started: NodeProcess[] = [];
  const start = async (config: ConstructorParameters<typeof NodeProcess>[0]) => {
    const node = new NodeProcess(config);
    started.push(node);
    return { node, ...(await node.ready) };
  };
  try {
    const { url = '', http = '' } = await start({
      nodeId: 'coordinator',
      port: 0,
      dataDir: join(folder, 'coordinator'),
      localSteps: 'never',
      coordinator: { heartbeatMs: 200, suspectAfterMs: 600, lostAfterMs: 1_500, reconnectGraceMs: 500 },
      ledger,
    });
    const worker: Cluster['worker'] = async (nodeId, labels = {}) => {
      const own = { nodeId, dataDir: join(folder, nodeId), capabilities: { labels } };
      return (await start({ role: 'worker', connect: url, ledger, ...own })).node;
    };
    await use({ client: new Client(http), worker });
  } finally {
    for (const node of started) await node.kill();
    await rm(folder, { recursive: true, force: true });
  }
}
