import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Recipe } from './recipe.ts';
import { findProgram } from './run.ts';

/** Debian keeps each major version's programs outside PATH; the newest comes first. */
function debianFolders(): string[] {
  try {
    const versions = readdirSync('/usr/lib/postgresql').toSorted((a, b) => Number(b) - Number(a));
    return versions.map((version) => `/usr/lib/postgresql/${version}/bin`);
  } catch {
    return [];
  }
}

export const postgres: Recipe = {
  title: 'PostgreSQL',
  portCount: 1,
  user: 'postgres',
  installation: { kind: 'debian', package: 'postgresql' },
  find() {
    const initdb = findProgram(...debianFolders().map((folder) => join(folder, 'initdb')), 'initdb');
    return initdb && dirname(initdb);
  },
  async prepare(home, { dir, password }, run) {
    const passwordFile = join(dir, 'password');
    writeFileSync(passwordFile, password);
    const settings = ['-D', join(dir, 'data'), '-U', 'jsonflow', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`];
    await run(join(home, 'initdb'), [...settings, '-E', 'UTF8', '--locale=C', '--no-sync']);
  },
  programs(home, { dir, ports }) {
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      port: ports[0],
      max_connections: 200,
      // Tests read the log only when something is wrong.
      log_min_messages: 'warning',
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    return [{ command: join(home, 'postgres'), args: ['-D', join(dir, 'data'), ...flags] }];
  },
  url: ({ ports, password }) => `postgres://jsonflow:${password}@127.0.0.1:${ports[0]}/postgres`,
  async probe(url) {
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
    // The server may end the connection between two answers; the query then fails, and that is what counts.
    client.on('error', () => {});
    try {
      await client.connect();
      const { rows } = await client.query('show server_version');
      return String(rows[0]?.server_version).split(' ', 1)[0] ?? '';
    } finally {
      await client.end().catch(() => {});
    }
  },
};
