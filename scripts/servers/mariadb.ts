import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './recipe.ts';
import { findProgram } from './run.ts';

const installer = (): string => findProgram('mariadb-install-db', 'mysql_install_db') ?? 'mariadb-install-db';

export const mariadb: Recipe = {
  title: 'MariaDB',
  portCount: 1,
  user: 'mysql',
  installation: { kind: 'debian', package: 'mariadb-server' },
  find: () => findProgram('mariadbd'),
  async prepare(_home, { dir, password }, run) {
    // Run at every start, so each statement must bear repetition.
    const statements = [
      'CREATE DATABASE IF NOT EXISTS jsonflow CHARACTER SET utf8mb4',
      `CREATE USER IF NOT EXISTS 'jsonflow'@'127.0.0.1' IDENTIFIED BY '${password}'`,
      "GRANT ALL PRIVILEGES ON *.* TO 'jsonflow'@'127.0.0.1' WITH GRANT OPTION",
    ];
    writeFileSync(join(dir, 'init.sql'), statements.map((statement) => `${statement};\n`).join(''));
    const settings = ['--no-defaults', `--datadir=${join(dir, 'data')}`, '--auth-root-authentication-method=normal'];
    await run(installer(), [...settings, '--skip-test-db', '--skip-log-bin']);
  },
  programs(home, { dir, ports }) {
    const settings = {
      datadir: join(dir, 'data'),
      tmpdir: dir,
      socket: join(dir, 'socket'),
      'pid-file': join(dir, 'pid'),
      'init-file': join(dir, 'init.sql'),
      'bind-address': '127.0.0.1',
      port: ports[0],
      'max-connections': 200,
      'character-set-server': 'utf8mb4',
      'innodb-flush-log-at-trx-commit': 1,
      // Accounts are by address; a name server has no say in who may log in.
      'skip-name-resolve': 'ON',
    };
    const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    return [{ command: home, args: ['--no-defaults', ...flags] }];
  },
  url: ({ ports, password }) => `mysql://jsonflow:${password}@127.0.0.1:${ports[0]}/jsonflow`,
  async probe(url) {
    const { createConnection } = await import('mysql2/promise');
    const connection = await createConnection({ uri: url, connectTimeout: 5000 });
    try {
      const [rows] = await connection.query('select version() as version');
      const [row] = rows as { version: string }[];
      return row?.version.replace(/-.*/, '') ?? '';
    } finally {
      connection.destroy();
    }
  },
};
