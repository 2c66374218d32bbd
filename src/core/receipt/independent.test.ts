// Receipts are worth what others can check: here implementations that share no code with ours do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toSignedEntity, Verifier } from '@sigstore/verify';
import { nodes, sampleRun } from '../../../test/receipt/sample-run.ts';
import type { Envelope } from '../../protocol/receipt.ts';
import { pae, signatureOf, signedBytes } from './dsse.ts';

/** The program as it is installed here. */
const openssl = 'openssl';

let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'jsonflow-openssl-'));
});
after(() => rm(dir, { recursive: true, force: true }));

const bundle = await sampleRun();
const signed = [
  ...bundle.receipts.map((envelope) => ({ envelope, node: nodeOf(envelope) })),
  { envelope: bundle.run_statement, node: nodes.coordinator },
];

function nodeOf(envelope: Envelope): (typeof nodes)['w1'] {
  const node = Object.values(nodes).find(({ keyId }) => keyId === envelope.signatures[0]?.keyid);
  assert.ok(node);
  return node;
}

/** The same statement with one letter changed. */
const tampered = (envelope: Envelope): Envelope => ({
  ...envelope,
  payload: Buffer.from(Buffer.from(envelope.payload, 'base64').toString().replace('"epoch":2', '"epoch":3')).toString(
    'base64',
  ),
});

test('the pre-authentication encoding is that of the DSSE specification', () => {
  assert.equal(
    Buffer.from(pae('http://example.com/HelloWorld', 'hello world')).toString(),
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
  // Lengths are those of the bytes.
  assert.equal(Buffer.from(pae('t', 'é')).toString(), 'DSSEv1 1 t 2 é');
});

test('openssl accepts every envelope, and none that was changed', async () => {
  const verify = async (envelope: Envelope, publicKey: string): Promise<number | null> => {
    const [data, signature, key] = ['pae.bin', 'sig.bin', 'key.pem'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(data, signedBytes(envelope));
    await writeFile(signature, signatureOf(envelope));
    await writeFile(key, publicKey);
    const args = ['pkeyutl', '-verify', '-pubin', '-inkey', key, '-rawin', '-in', data, '-sigfile', signature];
    const { status, error } = spawnSync(openssl, args);
    assert.equal(error, undefined);
    return status;
  };
  for (const { envelope, node } of signed) assert.equal(await verify(envelope, node.publicKey), 0);
  for (const { envelope, node } of signed.slice(0, 2)) {
    assert.notEqual(await verify(tampered(envelope), node.publicKey), 0);
    assert.notEqual(await verify(envelope, nodes.stranger.publicKey), 0);
  }
});

test('@sigstore/verify accepts every envelope, and none that was changed', () => {
  const verifier = new Verifier(
    {
      publicKey: (hint) => {
        const node = Object.values(nodes).find(({ keyId }) => keyId === hint);
        assert.ok(node);
        return { publicKey: createPublicKey(node.publicKey), validFor: () => true };
      },
      certificateAuthorities: [],
      timestampAuthorities: [],
      tlogs: [],
      ctlogs: [],
    },
    { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 },
  );
  const entityOf = ({ payload, payloadType, signatures }: Envelope, hint: string) =>
    toSignedEntity({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: {
        content: { $case: 'publicKey', publicKey: { hint } },
        tlogEntries: [],
        timestampVerificationData: undefined,
      },
      content: {
        $case: 'dsseEnvelope',
        dsseEnvelope: {
          payload: Buffer.from(payload, 'base64'),
          payloadType,
          signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: Buffer.from(sig, 'base64') })),
        },
      },
    } as unknown as Parameters<typeof toSignedEntity>[0]);

  for (const { envelope, node } of signed) {
    verifier.verify(entityOf(envelope, node.keyId));
    assert.throws(() => verifier.verify(entityOf(tampered(envelope), node.keyId)), { code: 'SIGNATURE_ERROR' });
    assert.throws(() => verifier.verify(entityOf(envelope, nodes.stranger.keyId)), { code: 'SIGNATURE_ERROR' });
  }
});
