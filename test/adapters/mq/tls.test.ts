// TLS is ended by a proxy in front of the test servers: what counts is whom the adapter trusts.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { type Certificate, makeCertificates } from '../../support/certificates.ts';
import { describeWith, type ServiceName } from '../../support/services.ts';
import { stepsOf } from './steps.ts';

async function tlsProxy({ cert, key }: Certificate, to: URL): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer({ cert, key, minVersion: 'TLSv1.2' }, (near) => {
    const far = connect(Number(to.port), to.hostname);
    near.pipe(far).pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => other.destroy());
    }
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

const certificates = makeCertificates();

for (const [system, scheme] of [
  ['rabbitmq', 'amqps'],
  ['redis', 'rediss'],
] as const satisfies [ServiceName, string][])
  describeWith(system, `${scheme}://`, (plain) => {
    for (const [what, presented, ca, works] of [
      ['a certificate of the authority is trusted', certificates.server, certificates.ca, true],
      ['one that is expired is not', certificates.expired, certificates.ca, false],
      ['one for another host is not', certificates.elsewhere, certificates.ca, false],
      ['one of another authority is not', certificates.stranger, certificates.ca, false],
      ['without ?cacert= only public authorities are', certificates.server, undefined, false],
    ] as const)
      test(what, async () => {
        const to = new URL(plain);
        const proxy = await tlsProxy(presented, to);
        const folder = await mkdtemp(join(tmpdir(), 'jsonflow-mq-tls-'));
        const steps = stepsOf();
        try {
          const url = new URL(plain.replace(/^\w+:/, `${scheme}:`));
          url.host = `localhost:${proxy.port}`;
          if (ca !== undefined) {
            await writeFile(join(folder, 'ca.pem'), ca.cert);
            url.searchParams.set('cacert', join(folder, 'ca.pem'));
          }
          const created = steps.run('mq_create_queue', { broker: url.href, queue: `jsonflow-tls-${randomUUID()}` });
          if (works) assert.equal((await created).created, true);
          else await assert.rejects(created, { code: 'CONNECTION_FAILED', retryable: false });
        } finally {
          await steps.close();
          await proxy.close();
          await rm(folder, { recursive: true, force: true });
        }
      });
  });
