import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { createVerifier, syncVerifier } from './identity.ts';

interface Vector {
  id: number;
  pk: string;
  msg: string;
  sig: string;
  result: 'valid' | 'invalid';
  comment: string;
}

const file = new URL('../../test/vectors/receipt/wycheproof-ed25519.json', import.meta.url);
const { tests } = JSON.parse(await readFile(file, 'utf8')) as { tests: Vector[] };

/** SubjectPublicKeyInfo of Ed25519 (RFC 8410) before the 32 bytes of the key. */
const spki = '302a300506032b6570032100';

const pemOf = (pk: string): string =>
  createPublicKey({ key: Buffer.from(spki + pk, 'hex'), format: 'der', type: 'spki' })
    .export({ format: 'pem', type: 'spki' })
    .toString();

for (const [name, verifier] of Object.entries({ pool: createVerifier(), sync: syncVerifier() }))
  test(`Wycheproof: valid Ed25519 signatures hold and invalid ones don't (${name})`, async () => {
    assert.equal(tests.length, 151);
    for (const { id, pk, msg, sig, result, comment } of tests) {
      const holds = await verifier.verify(pemOf(pk), Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex'));
      assert.equal(holds, result === 'valid', `test ${id}: ${comment}`);
    }
  });
