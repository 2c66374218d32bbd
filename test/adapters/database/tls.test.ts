// TLS to a real server: whom the adapter trusts, and whom not.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { findProgram } from '../../../scripts/servers/run.ts';
import { type Certificate, type Certificates, makeCertificates } from '../../support/certificates.ts';
import { privateServer, privateSkipReason } from '../../support/services.ts';
import { fails, Harness } from './harness.ts';

describe('PostgreSQL: TLS', { skip: privateSkipReason('postgres') }, () => {
  let server: Awaited<ReturnType<typeof privateServer>>;
  let certificates: Certificates;
  let harness: Harness;
  let ca: string;
  before(async () => {
    certificates = makeCertificates();
    server = await privateServer('postgres');
    ca = join(server.dataDir, 'test-ca.crt');
    writeFileSync(ca, certificates.ca.cert);
    harness = new Harness(server.url);
  });
  after(async () => {
    await harness.close();
    await server.stop();
  });

  /** The server takes new certificates for new connections. */
  async function present({ cert, key }: Certificate): Promise<void> {
    const [certFile, keyFile] = [join(server.dataDir, 'test.crt'), join(server.dataDir, 'test.key')];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const { uid, gid } = statSync(server.dataDir);
    for (const file of [certFile, keyFile]) {
      chmodSync(file, 0o600);
      chownSync(file, uid, gid);
    }
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    for (const [name, value] of [
      ['ssl_cert_file', certFile],
      ['ssl_key_file', keyFile],
      ['ssl', 'on'],
    ] as const)
      await client.query(`ALTER SYSTEM SET ${name} = '${value}'`);
    const loaded = async (): Promise<string> =>
      (await client.query('SELECT pg_conf_load_time()::text AS at')).rows[0].at;
    const before = await loaded();
    await client.query('SELECT pg_reload_conf()');
    // The main process of the server reads all this before it tells its others.
    while ((await loaded()) === before) await new Promise(setImmediate);
    await client.end();
  }
  const query = (parameters: string, host = 'localhost') => {
    const url = new URL(server.url);
    url.hostname = host;
    url.search = parameters;
    return harness.query({
      connection: url.href,
      query: 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      options: { retry_attempts: 0 },
    });
  };

  test('a server without it is refused where it is asked for', async () => {
    await assert.rejects(
      query('sslmode=require'),
      fails('TLS_FAILED', { says: /the server has no TLS.*: localhost:\d+$/ }),
    );
    assert.deepEqual((await query('sslmode=disable')).rows, [{ ssl: false }]);
    await assert.rejects(query('sslmode=prefer'), fails('INVALID_PARAMS'));
  });

  test('a certificate of a trusted authority, for this host', async () => {
    await present(certificates.server);
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      const { rows } = await query(`sslmode=${mode}&sslrootcert=${ca}`);
      assert.deepEqual(rows, [{ ssl: true }]);
    }
    await assert.rejects(query('sslmode=require'), fails('TLS_FAILED'));
    await assert.rejects(query('ssl=true'), fails('TLS_FAILED'));
  });

  test('a cancellation goes over TLS, too', async () => {
    const url = new URL(server.url);
    url.hostname = 'localhost';
    url.search = `sslmode=verify-full&sslrootcert=${ca}`;
    const options = { timeout: 300 };
    await assert.rejects(
      harness.query({ connection: url.href, query: 'SELECT pg_sleep(300)', options }),
      fails('QUERY_TIMEOUT'),
    );
    const { rows } = await harness.query({
      query:
        "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%' AND state = 'active' AND pid <> pg_backend_pid()",
    });
    assert.deepEqual(rows, []);
  });

  test('a certificate for another host, and one of a stranger', async () => {
    await present(certificates.elsewhere);
    await assert.rejects(query(`sslmode=verify-full&sslrootcert=${ca}`, '127.0.0.1'), fails('TLS_FAILED'));
    assert.deepEqual((await query(`sslmode=verify-ca&sslrootcert=${ca}&application_name=other`, '127.0.0.1')).rows, [
      { ssl: true },
    ]);
    await present(certificates.stranger);
    await assert.rejects(query(`sslmode=verify-ca&sslrootcert=${ca}&application_name=third`), fails('TLS_FAILED'));
  });
});

describe('MySQL or MariaDB: TLS', { skip: privateSkipReason('mysql') }, () => {
  let server: Awaited<ReturnType<typeof privateServer>>;
  let program: ChildProcess;
  let certificates: Certificates;
  let harness: Harness;
  let ca: string;
  before(async () => {
    certificates = makeCertificates();
    server = await privateServer('mysql');
    // It takes no certificates once it runs, so the test runs it itself, with the same data.
    await server.kill();
    ca = join(server.dataDir, 'test-ca.crt');
    writeFileSync(ca, certificates.ca.cert);
    write(certificates.elsewhere);
    program = spawn(
      findProgram('mariadbd') ?? '',
      [
        '--no-defaults',
        ...(process.getuid?.() === 0 ? ['--user=mysql'] : []),
        `--datadir=${join(server.dataDir, 'data')}`,
        `--socket=${join(server.dataDir, 'socket')}`,
        '--bind-address=127.0.0.1',
        `--port=${new URL(server.url).port}`,
        '--skip-name-resolve',
        `--ssl-cert=${join(server.dataDir, 'test.crt')}`,
        `--ssl-key=${join(server.dataDir, 'test.key')}`,
      ],
      { stdio: 'ignore' },
    );
    while ((await admin().catch(() => undefined)) === undefined)
      await new Promise((resolve) => setTimeout(resolve, 50));
    harness = new Harness(server.url);
  });
  after(async () => {
    await harness.close();
    program.kill('SIGKILL');
    await once(program, 'exit');
    await server.stop();
  });

  async function admin(sql = 'DO 1'): Promise<true> {
    const connection = await mysql.createConnection(server.url);
    await connection.query(sql);
    await connection.end();
    return true;
  }

  function write({ cert, key }: Certificate): void {
    const [certFile, keyFile] = [join(server.dataDir, 'test.crt'), join(server.dataDir, 'test.key')];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const { uid, gid } = statSync(join(server.dataDir, 'data'));
    for (const file of [certFile, keyFile]) {
      chmodSync(file, 0o600);
      chownSync(file, uid, gid);
    }
  }
  async function present(certificate: Certificate): Promise<void> {
    write(certificate);
    await admin('FLUSH SSL');
  }
  /** Whether the connection is encrypted. */
  async function encrypted(parameters: string, host = 'localhost', from = harness): Promise<boolean> {
    const url = new URL(server.url);
    url.hostname = host;
    url.search = parameters;
    const query = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
    const { rows } = await from.query({ connection: url.href, query, options: { retry_attempts: 0 } });
    return (rows as { Value: string }[])[0]?.Value !== '';
  }

  test('a certificate for another host, and one of a stranger', async () => {
    for (const host of ['localhost', '127.0.0.1']) {
      await assert.rejects(encrypted(`ssl=true&sslrootcert=${ca}`, host), fails('TLS_FAILED'), host);
      await assert.rejects(encrypted(`sslmode=verify-full&sslrootcert=${ca}`, host), fails('TLS_FAILED'), host);
      assert.equal(await encrypted(`sslmode=verify-ca&sslrootcert=${ca}`, host), true);
    }
    await present(certificates.stranger);
    const fresh = new Harness(server.url);
    await assert.rejects(encrypted(`sslmode=verify-ca&sslrootcert=${ca}`, 'localhost', fresh), fails('TLS_FAILED'));
    await fresh.close();
  });

  test('a certificate of a trusted authority, for this host, also for a cancellation', async () => {
    await present(certificates.server);
    for (const host of ['localhost', '127.0.0.1'])
      for (const mode of ['require', 'verify-ca', 'verify-full'])
        assert.equal(await encrypted(`sslmode=${mode}&sslrootcert=${ca}`, host), true);
    assert.equal(await encrypted('sslmode=disable'), false);
    await assert.rejects(encrypted('sslmode=require'), fails('TLS_FAILED'));
    const url = new URL(server.url);
    url.search = `sslmode=verify-full&sslrootcert=${ca}`;
    await assert.rejects(
      harness.query({ connection: url.href, query: 'SELECT SLEEP(300)', options: { timeout: 300 } }),
      fails('QUERY_TIMEOUT'),
    );
    const { rows } = await harness.query({
      query: "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(300)%' AND id <> CONNECTION_ID()",
    });
    assert.deepEqual(rows, []);
  });
});
