import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { createClient } from '../../src/cli/client.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { ScriptedCoordinator } from './coordinator.ts';

const folder = mkdtempSync(join(tmpdir(), 'jsonflow-tls-'));
after(() => rmSync(folder, { recursive: true }));
const openssl = (...argv: string[]): void =>
  void execFileSync('openssl', argv, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
const pem = (name: string): string => readFileSync(join(folder, name), 'utf8');

/** A certificate authority and certificates of it, as an operator would make them. */
function makeCertificates(): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test ca', '-days', '2');
  writeFileSync(join(folder, 'ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost');
  for (const name of ['server', 'client']) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      '-extfile',
      'ext',
    );
  }
}
makeCertificates();

async function serve(tls: { cert: string; key: string; ca?: string }) {
  const server = createHttpServer({ api: new ScriptedCoordinator(), tls });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, url: `https://127.0.0.1:${port}`, close: () => new Promise((resolve) => server.close(resolve)) };
}

describe('the API over TLS', () => {
  const server = { cert: pem('server.pem'), key: pem('server.key') };
  const ca = pem('ca.pem');

  it('answers a client that trusts its authority, and no other', async () => {
    const { url, port, close } = await serve(server);
    assert.equal((await createClient({ url, tls: { ca } }).network()).coordinator, 'c-1');
    await assert.rejects(createClient({ url }).network(), { code: 'NODE_UNREACHABLE' });
    await assert.rejects(createClient({ url: `http://127.0.0.1:${port}` }).network(), { code: 'NODE_UNREACHABLE' });
    await close();
  });

  it('speaks TLS 1.3 only', async () => {
    const { port, close } = await serve(server);
    const old = connect({ port, host: '127.0.0.1', ca, maxVersion: 'TLSv1.2' });
    const [error] = await once(old, 'error');
    assert.match(String(error), /protocol version|alert/i);
    await close();
  });

  it('asks for a certificate where an authority is given', async () => {
    const { url, close } = await serve({ ...server, ca });
    const withCertificate = { ca, cert: pem('client.pem'), key: pem('client.key') };
    assert.equal((await createClient({ url, tls: withCertificate }).network()).coordinator, 'c-1');
    await assert.rejects(createClient({ url, tls: { ca } }).network(), { code: 'NODE_UNREACHABLE' });
    await close();
  });
});
