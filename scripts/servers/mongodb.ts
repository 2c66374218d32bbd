import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import type { Recipe } from './recipe.ts';
import { findProgram, run } from './run.ts';

const VERSION = '1.24.2';
const cached = cacheFolder(`ferretdb-${VERSION}`);

/** FerretDB speaks MongoDB's protocol over SQLite, and unlike MongoDB itself a package registry has it. It knows no transactions. */
export const mongodb: Recipe = {
  title: 'FerretDB',
  portCount: 1,
  installation: {
    kind: 'cache',
    folder: cached,
    needs: ['go'],
    async build(folder) {
      const module = `github.com/FerretDB/FerretDB@v${VERSION}`;
      const { Dir } = JSON.parse(await run('go', ['mod', 'download', '-json', module], { timeoutMs: 900_000 }));
      const source = join(folder, 'source');
      cpSync(String(Dir), source, { recursive: true });
      // The module cache is read-only, and its copy too.
      await run('chmod', ['-R', 'u+w', source]);
      // Without this file, which a release has and its module lacks, the server ends at once.
      writeFileSync(join(source, 'build', 'version', 'version.txt'), `v${VERSION}`);
      const build = ['build', '-trimpath', '-buildvcs=false', '-o', join(folder, 'ferretdb'), './cmd/ferretdb'];
      await run('go', build, { cwd: source, timeoutMs: 900_000 });
      rmSync(source, { recursive: true });
    },
  },
  find: () => findProgram(join(cached, 'ferretdb'), 'ferretdb'),
  async prepare(_home, { dir }) {
    mkdirSync(join(dir, 'data'));
  },
  programs(home, { dir, ports }) {
    const flags = {
      handler: 'sqlite',
      'sqlite-url': `file:${join(dir, 'data')}/`,
      'state-dir': dir,
      'listen-addr': `127.0.0.1:${ports[0]}`,
      'debug-addr': '-',
      telemetry: 'disable',
      'log-level': 'WARN',
    };
    return [{ command: home, args: Object.entries(flags).map(([name, value]) => `--${name}=${value}`) }];
  },
  url: ({ ports }) => `mongodb://127.0.0.1:${ports[0]}/`,
  async probe(url) {
    const { MongoClient } = await import('mongodb');
    const client = new MongoClient(url, { serverSelectionTimeoutMS: 5000, connectTimeoutMS: 5000 });
    try {
      const info = await client.db('admin').command({ buildInfo: 1 });
      const ferret: unknown = info.ferretdbVersion;
      return typeof ferret === 'string' ? ferret.replace(/^v/, '') : String(info.version);
    } finally {
      await client.close();
    }
  },
};
