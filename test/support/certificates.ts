import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** PEM texts. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface Certificates {
  ca: Certificate;
  otherCa: Certificate;
  /** For localhost, 127.0.0.1 and ::1, signed by `ca`, as `worker` is. */
  server: Certificate;
  worker: Certificate;
  /** Signed by `ca`; its time is over. */
  expired: Certificate;
  /** Signed by `ca`, for another host. */
  elsewhere: Certificate;
  /** Signed by `otherCa`. */
  stranger: Certificate;
}

/** Makes a certificate authority, and certificates of every kind that a TLS test needs, with the real openssl. */
export function makeCertificates(): Certificates {
  const dir = mkdtempSync(join(tmpdir(), 'jsonflow-certificates-'));
  const at = (name: string): string => join(dir, name);
  const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const read = (name: string): Certificate => ({
    cert: readFileSync(at(`${name}.crt`), 'utf8'),
    key: readFileSync(at(`${name}.key`), 'utf8'),
  });
  const keyOf = (name: string): string => {
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', at(`${name}.key`));
    return at(`${name}.key`);
  };
  const authority = (name: string): Certificate => {
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      keyOf(name),
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
      '-out',
      at(`${name}.crt`),
    );
    return read(name);
  };
  const here = 'DNS:localhost,IP:127.0.0.1,IP:::1';
  const leaf = (name: string, issuer: string, days: number, hosts = here): Certificate => {
    writeFileSync(at('ext'), `subjectAltName=${hosts}\n`);
    openssl('req', '-new', '-key', keyOf(name), '-subj', `/CN=${name}`, '-out', at(`${name}.csr`));
    openssl(
      ...['x509', '-req', '-in', at(`${name}.csr`), '-CA', at(`${issuer}.crt`), '-CAkey', at(`${issuer}.key`)],
      ...['-CAcreateserial', '-extfile', at('ext'), '-days', String(days), '-out', at(`${name}.crt`)],
    );
    return read(name);
  };
  try {
    return {
      ca: authority('ca'),
      otherCa: authority('other-ca'),
      server: leaf('server', 'ca', 2),
      worker: leaf('worker', 'ca', 2),
      // A negative number of days puts the end before now.
      expired: leaf('expired', 'ca', -1),
      elsewhere: leaf('elsewhere', 'ca', 2, 'DNS:elsewhere.example'),
      stranger: leaf('stranger', 'other-ca', 2),
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
