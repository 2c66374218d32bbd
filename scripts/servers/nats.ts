import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import type { Recipe } from './recipe.ts';
import { findProgram, run } from './run.ts';

const VERSION = '2.15.2';
const cached = cacheFolder(`nats-server-${VERSION}`);

export const nats: Recipe = {
  title: 'NATS',
  portCount: 1,
  installation: {
    kind: 'cache',
    folder: cached,
    needs: ['go'],
    async build(folder) {
      const env = { ...process.env, GOBIN: folder };
      const from = `github.com/nats-io/nats-server/v2@v${VERSION}`;
      await run('go', ['install', '-trimpath', from], { env, timeoutMs: 900_000 });
    },
  },
  find: () => findProgram(join(cached, 'nats-server'), 'nats-server'),
  async prepare(_home, { dir, ports }) {
    const lines = [
      `listen: "127.0.0.1:${ports[0]}"`,
      `jetstream { store_dir: ${JSON.stringify(join(dir, 'data'))}, sync_interval: always }`,
    ];
    writeFileSync(join(dir, 'nats.conf'), `${lines.join('\n')}\n`);
  },
  programs: (home, { dir }) => [{ command: home, args: ['-c', join(dir, 'nats.conf')] }],
  url: ({ ports }) => `nats://127.0.0.1:${ports[0]}`,
  async probe(url) {
    const { connect } = await import('@nats-io/transport-node');
    const { jetstreamManager } = await import('@nats-io/jetstream');
    const connection = await connect({ servers: url, timeout: 5000, reconnect: false });
    try {
      // Fails unless JetStream is on.
      await jetstreamManager(connection);
      return connection.info?.version ?? '';
    } finally {
      await connection.close();
    }
  },
};
