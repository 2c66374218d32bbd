import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './recipe.ts';
import { findProgram } from './run.ts';

export const redis: Recipe = {
  title: 'Redis',
  portCount: 1,
  installation: { kind: 'debian', package: 'redis-server' },
  find: () => findProgram('redis-server', 'valkey-server'),
  async prepare(_home, { dir, ports, password }) {
    const settings = {
      bind: '127.0.0.1',
      port: ports[0],
      dir,
      requirepass: password,
      appendonly: 'yes',
      appendfsync: 'always',
      // One for each test file, see `freshDatabase`.
      databases: 256,
      save: '""',
    };
    // In a file, since the password would otherwise stand in the list of processes.
    writeFileSync(
      join(dir, 'redis.conf'),
      Object.entries(settings)
        .map(([name, value]) => `${name} ${value}\n`)
        .join(''),
    );
  },
  programs: (home, { dir }) => [{ command: home, args: [join(dir, 'redis.conf')] }],
  url: ({ ports, password }) => `redis://default:${password}@127.0.0.1:${ports[0]}`,
  async probe(url) {
    const { createClient } = await import('redis');
    const client = createClient({ url, socket: { connectTimeout: 5000, reconnectStrategy: false } });
    client.on('error', () => {});
    await client.connect();
    try {
      const info = await client.info('server');
      return /redis_version:(\S+)/.exec(info)?.[1] ?? '';
    } finally {
      client.destroy();
    }
  },
};
